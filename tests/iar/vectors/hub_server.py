"""A server that speaks as much of the Hub's HTTP as pushing and fetching a model repository takes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml  # type: ignore[import-untyped]

TOKEN = "hf_" + "x" * 34


class HubServer:
    """``with HubServer() as hub``: ``hub.url``; ``hub.repos`` name -> commits, oldest first, each file -> bytes."""

    def __init__(self) -> None:
        self.repos: dict[str, list[tuple[str, dict[str, bytes]]]] = {}
        self.asked: list[str] = []
        owner = self

        class Handler(_Handler):
            hub = owner

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def at(self, repo: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        commits = self.repos.get(repo, [])
        if revision == "main" and commits:
            return commits[-1]
        return next((commit for commit in commits if commit[0] == revision), None)


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def _answer(self, status: int, content: Any = b"", **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.asked.append(f"POST {path}")
        if path == "/api/validate-yaml":
            front = json.loads(body)["content"].split("---")[1]
            data = yaml.safe_load(front)
            good = isinstance(data, dict) and isinstance(data.get("tags"), list)
            return self._answer(200 if good else 400, {"errors": [] if good else ["tags"], "warnings": []})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer(401, {"error": "Invalid credentials"})
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            known = repo in self.hub.repos
            self.hub.repos.setdefault(repo, [])
            return self._answer(409 if known else 200, {"url": f"{self.hub.url}/{repo}", "name": repo})
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", path)
        if not found or found[1] not in self.hub.repos:
            return self._answer(404, {"error": "not found"})
        if found[2] == "preupload":
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            return self._answer(200, {"files": files})
        commits = self.hub.repos[found[1]]
        files_now = dict(commits[-1][1]) if commits else {}
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                files_now[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        oid = hashlib.sha1(body + str(len(commits)).encode()).hexdigest()
        commits.append((oid, files_now))
        self._answer(200, {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/{found[1]}/commit/{oid}"})

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?/?", path):
            commit = self.hub.at(found[1], found[3] or "main")
            if commit is None:
                code = "RevisionNotFound" if found[1] in self.hub.repos else "RepoNotFound"
                return self._answer(404, {"error": "not found"}, **{"X-Error-Code": code})
            if found[2] == "tree":
                files = [
                    {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for name, data in commit[1].items()
                ]
                return self._answer(200, files)
            siblings = [{"rfilename": name} for name in commit[1]]
            return self._answer(200, {"id": found[1], "modelId": found[1], "sha": commit[0], "siblings": siblings})
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            commit = self.hub.at(found[1], found[2])
            if commit is None or found[3] not in commit[1]:
                return self._answer(404, {"error": "not found"}, **{"X-Error-Code": "EntryNotFound"})
            data = commit[1][found[3]]
            etag = hashlib.sha1(data).hexdigest()
            return self._answer(200, data, **{"X-Repo-Commit": commit[0], "ETag": f'"{etag}"'})
        self._answer(404, {"error": "not found"})

    do_HEAD = do_GET
