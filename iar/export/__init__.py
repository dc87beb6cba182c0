"""Write a steering as what other programs read: a checkpoint, an adapter, a control vector, EasySteer's settings."""
