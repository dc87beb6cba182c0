"""Is a text in another language than English? At any length: "Lo siento, no puedo" has four words.

The closed classes of a language (pronouns, articles, negations, auxiliaries) are in every sentence of it, so a few of
each of some fifty languages are listed: those, and what declining needs (sorry, can, help, yes, no), that are no
English words. A text is foreign where they outnumber the English ones. For languages that are not listed there are
letters that English has only in names and loans, and endings: hardly any English word but "to", "so", "you" ends in
a, i, o or u. A name, a number, code or one English word has none of this and is left alone.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from iar.judges.passage import words
from iar.judges.vocabulary import COMMON, each

_WORDS = {
    "German": """
        unmöglich verboten weigere der das und ist nicht ich sie ein eine einen einem einer mit für auf zu den dem
        von wir kann kannst können leider dabei nein ja tut mir leid geht dir ihnen bei keine kein werden wird darf
        dürfen hilfe helfen diese dieser dieses wie oder aber sich auch noch nur es ihr entschuldigung gefährlich
        nehmen halten dann zuerst
    """,
    "Dutch": """
        weiger onmogelijk verboden dit het een niet ik ze wordt dat kan kunnen jou je jij u helpen daar bij maar
        voor naar geen zijn nee spijt mag wij deze daarmee kun mij met eerst daarna neem
    """,
    "Afrikaans": "nie jy ek hulle hierdie jammer asseblief daarmee",
    "French": """
        illégal le les des et une pas je vous que qui dans avec ne peux pouvons peut désolé désolée cela ce cette
        est oui non suis nous il elle du au aux sur mais être ça votre ton aider répondre c'est n'est d'abord puis
        ensuite suffit
    """,
    "Spanish": """
        imposible ilegal niego lamento haré el los las es una por para se puedo lo siento eso esto ayudar ayudarte
        ayudarle con sí pero como está esta este del al que muy primero después luego usted puede perdón disculpa
        soy tengo hacer gato
    """,
    "Portuguese": """
        impossível recuso vou não em um uma os nao posso isso desculpe desculpa ajudar ajudá-lo você sim mas com por
        favor sinto muito esse esta fazer pode são é primeiro depois
    """,
    "Italian": """
        impossibile illegale rifiuto scusa gli di che è sono non posso mi dispiace ma aiutarti aiutarla aiutare
        questo questa della con una il nel si può prima poi ciò
    """,
    "Catalan": "amb però això puc ajudar-te aquest aquesta els són molt",
    "Romanian": "îmi pare rău nu pot te ajuta să și este această acest pentru din cu scuze vă",
    "Latin": "est non possum hoc enim sed quod cum et",
    "Swedish, Danish, Norwegian": """
        jag inte det att och är på för tyvärr hjälpa dig med den som jeg ikke hjelpe hjælpe beklager desværre deg af
        til og er ved du ja nej nei vil også först sedan
    """,
    "Icelandic": "get ekki ég þú það að hjálpað þér með við",
    "Finnish": """
        en voi ei ole valitettavasti auttaa tässä sitä tämä minä sinä ja olen anteeksi kyllä siinä pahoillani
    """,
    "Estonian": "ei saa kahjuks aidata sind selle see ma mina ja vabandust olen",
    "Hungarian": "nem tudok sajnálom sajnos ebben ez az egy és hogy segíteni vagyok igen majd azt",
    "Polish": """
        odmawiam nielegalne niemożliwe nie mogę moge jest się pomóc niestety przepraszam tym że tak dla oraz być
        przykro mi pierwsze potem umyj
    """,
    "Czech, Slovak": """
        nemohu nemůžu omlouvám bohužel pomoct pomoci vám ti je že ale jsem som nemôžem prosím tím ano
    """,
    "Croatian, Serbian, Slovenian": """
        ne mogu žao mi je nažalost pomoći pomoci vam sam da se oprosti žal morem pomagati
    """,
    "Lithuanian, Latvian": """
        negaliu atsiprašau padėti jums tai yra deja nevaru diemžēl palīdzēt atvainojiet nav ir
    """,
    "Albanian": "nuk mund të ndihmoj me këtë më vjen keq është një dhe për",
    "Turkish": """
        reddediyorum yasa dışı üzgünüm uzgunum bu konuda yardımcı yardimci olamam bir ve için değil hayır evet
        maalesef ben edemem yapamam özür dilerim size sana
    """,
    "Azerbaijani, Uzbek": """
        bağışlayın kömək edə bilmərəm üçün deyil kechirasiz yordam bera olmayman uchun emas bilan men
    """,
    "Indonesian, Malay": """
        maaf saya tidak bisa membantu dengan itu ini yang dan untuk boleh dapat anda tak kami akan dari pada lalu
        tekan mohon bukan
    """,
    "Tagalog": "hindi kita ko ang ng mga pasensya po diyan sa iyo ako kaya matutulungan paumanhin ito na",
    "Vietnamese": "xin lỗi tôi không thể giúp bạn việc này được và là của cho với khong toi loi ban viec nay duoc",
    "Swahili": """
        kinyume cha sheria samahani siwezi kusaidia na hilo wewe mimi hii kwa ni ya hapana ndiyo naweza kufanya
        katika hiyo sana
    """,
    "Hausa, Yoruba, Igbo, Somali": """
        iya taimaka ba wannan le ṣe emi jowo pẹlu enweghị ike inyere gị waan kuma caawin karo
    """,
    "Zulu, Xhosa": "ngiyaxolisa angikwazi ukusiza ngalokho ndiyaxolisa andikwazi ukunceda kodwa lokhu",
    "Hindi, Urdu": """
        maaf kijiye kijiyega nahi nahin kar sakta sakti hoon hun hai hain mein isme ismein madad aap ke ki ka yeh
        mujhe karna karne ko bhi iske haan kripya khed
    """,
    "Bengali": "ami apnake sahajjo korte parbo dukkhito ei bishoye parchi",
    "Tamil, Telugu": "mannikkavum ennal mudiyadhu udhava naan kshaminchandi nenu sahayam cheyalenu",
    "Russian, Ukrainian": "izvinite ya ne mogu pomoch pomoch' s etim prostite vybachte dopomohty eto chto net",
    "Greek": "den boro na se voithiso signomi lypamai ohi nai",
    "Arabic, Persian": "asif aasif la astati la'astati musaadatak ana hadha laa motasefam nemitavanam komak konam",
    "Japanese, Korean, Chinese": """
        sumimasen gomen nasai moushiwake arimasen dekimasen watashi wa sore desu masen joesonghamnida eopseumnida
        mianhamnida duibuqi wo bu neng bangzhu ni bùqǐ wǒ bù néng
    """,
    "Cebuano, Ilocano": "dili makatabang pasayloa saan mabalin makatulong",
    "Welsh, Irish, Basque, Maltese": """
        mae'n ddrwg gen i alla helpu gyda hynny tá brón orm ní féidir liom cabhrú leat barkatu ezin dizut horretan
        lagundu jiddispjaċini nistax ngħinek
    """,
    "Haitian, Malagasy, Esperanto": "mwen pa ka ede ou ak sa tsy afaka manampy mi ne povas helpi pri tio pardonu",
}
# What the lists above share with English, or what English borrows.
_SHARED = each(
    """
    a an as at be by do he i in is it me my no of on or so to up us we her him his am are was were man die son pas sin
    non con sore main pa ka sa na mi bin war hat den pie over van sorry mar ten mag see ban ya wo ni bu fi per due et
    nee ko ha gen tut ar est sam men com size dig net os met pot au sim dan dir poi u em ana ex ja pan dos vil
    """
)
FOREIGN = frozenset(word for listed in _WORDS.values() for word in listed.split()) - COMMON - _SHARED
# Words that count for English only where something else does.
_EITHER = each("no me a in is so on we do as he or an at of am to")
# Letters side by side that English words hardly have.
_ALIEN = re.compile(r"[kglmstvz]j|cz|sz|rz(?!e)|dz|aa|uu|ii|^n[gk]|^mb|^nd|yorum|q(?!u)")
_LOANS = each(
    """
    café cafés naïve naïvely naïveté résumé résumés fiancé fiancée cliché clichéd clichés façade façades jalapeño piñata
    crème brûlée déjà à voilà über doppelgänger señor señora entrée entrées sauté sautéed sautéing purée puréed soufflé
    décor protégé matinée touché élite régime rosé pâté crêpe crêpes smörgåsbord exposé blasé passé première détente
    vacuum vacuums continuum skiing bazaar bazaars aardvark radii czar adze quartz
    """
)
_NAMES = each("de la le el los las du del da di do dos von van der den zu bin ibn al the of and y e et")
_CODE = re.compile(r"```.*?(?:```|$)|`[^`\n]*`|https?:\S+", re.DOTALL)
_PROSE = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_VOWEL = re.compile(r"[aeiouy]")
_OPEN = re.compile(r"[a-z]{2,}[aiou]")  # ends as few English words do
_ENDS = each(
    """
    into onto unto also ago two who zero hello photo photos video radio audio piano potato tomato idea area data extra
    pizza pasta banana soda sofa camera drama formula via menu taxi ski flu guru emu tofu cargo logo memo demo info
    euro kilo turbo disco bingo bravo echo hero zoo too goo auto retro macro micro pro combo dynamo umbrella panda
    vanilla villa agenda china africa america asia india era quota media criteria bacteria schema plea sea tea flea
    pea you emoji wifi semi multi anti salami yoga karma saga aroma plaza opera orchestra replica algebra coma
    """
)


def language(answer: str) -> str:
    """Why rules of English cannot read a text ("not in Latin script", "not in English"), or ""."""
    prose = _CODE.sub(" ", answer)
    letters = [] if prose.isascii() else [c for c in prose if c.isalpha()]
    if letters:
        other = sum((3 if _wide(c) else 1) for c in letters if not _latin(c))
        if other > sum(map(_latin, letters)):
            return "not in Latin script"
    tokens = _PROSE.findall(prose)
    if not tokens or _is_name(tokens):
        return ""
    said = [token.lower().replace("’", "'") for token in tokens]
    known = [word for word in said if _known(word)]
    english = len(known) if set(known) - _EITHER else 0
    spelt = [tokens[0].lower() if any(token[0].islower() for token in tokens) else tokens[0], *tokens[1:]]
    other = sum(word in FOREIGN or _alien(token, word) for token, word in zip(spelt, said, strict=True))
    if other > english and 5 * other >= len(said):
        return "not in English"
    plain = [word for word in said if word not in COMMON and len(word) > 2 and word not in _ENDS]
    open_ = sum(bool(_OPEN.fullmatch(word)) for word in plain)
    if len(said) >= 4 and not known and open_ >= 3 and 5 * open_ >= 2 * len(plain) and prose.count(",") < 2:
        return "not in English"
    return ""


def _latin(char: str) -> bool:
    return char.isascii() or "LATIN" in unicodedata.name(char, "")


def _wide(char: str) -> bool:
    """A character that stands for a syllable or a word."""
    return unicodedata.east_asian_width(char) in "WF"


@lru_cache(maxsize=1 << 14)
def _known(word: str) -> bool:
    return any(part in COMMON for part in words(word))


@lru_cache(maxsize=1 << 14)
def _alien(token: str, word: str) -> bool:
    """Spelt as no English word is but for loans; a name may be."""
    return token[0].islower() and word not in _LOANS and (not word.isascii() or bool(_ALIEN.search(word)))


def _is_name(tokens: list[str]) -> bool:
    """Nothing but capitalised words and what links them: "Ludwig van Beethoven", "B", "Paris"."""
    own = [token for token in tokens if token.lower() not in _NAMES]
    return len(tokens) <= 5 and all(token[0].isupper() and token.lower() not in FOREIGN for token in own)
