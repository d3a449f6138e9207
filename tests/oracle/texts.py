"""Texts that files get wrong: formulas, quotes, breaks, controls, scripts, look-alikes; and ids and names of that kind."""

from random import Random

WORDS = [
    "alpha",
    "bravo",
    "coral",
    "delta",
    "ember",
    "fjord",
    "grove",
    "haven",
    "ivory",
    "jolly",
    "kite",
    "lemon",
    "mango",
    "noble",
    "ocean",
    "pearl",
    "quartz",
    "river",
    "stone",
    "tulip",
]
FORMULAS = [
    "=1+1", "=cmd|' /C calc'!A0", "+491234", "-5", "@sum(A1)", "\t=x", "\r=x", "\n=x", "'=x", "''=x", "'''", "'", "'plain", "＝1+1", "＋49",
    "－1", "＠import", "'＝x", " =not first", "=", "+", "-", "@", "\t", "\r", "\n", "'\t",
]  # fmt: skip
QUOTES = [
    '"',
    '""',
    'say "hi"',
    "a,b;c|d\te",
    "it's",
    '\\"',
    "back\\slash \\n",
    '{"json": [1,2]}',
    "</script><b>&amp;</b> ]]>",
    ",",
    ",,",
    "a,",
]
BREAKS = [
    "CRLF\r\ninside", "LF\ninside", "CR\rinside", "VT\vinside", "FF\finside", "NEL\x85inside", "LS\u2028inside", "PS\u2029inside", "ends\n",
    "\r\n\r\n", "\n\r", "x\r\n[09:22 AM] System: not a line of its own", "\nConversation conv_1 · Eve · 2026-01-01 (UTC)",
]  # fmt: skip
CONTROLS = [
    "\x01\b\x0b\x1f",
    "\x7f del",
    "\x9f c1",
    "esc \x1b[31m",
    "bell\x07",
    "\ufeffBOM inside",
    "soft\u00adhyphen",
    "\u200bzero\u200dwidth",
]
SCRIPTS = [
    "Können wir kurz telefonieren?", "ありがとうございます。", "你好，世界", "مرحبا بالعالم", "שלום עולם", "\u202eright to left\u202c", "हिन्दी ไทย ελ",
    "e\u0301 combining, \u00e9 composed", "👩🏽‍💻 family 👨‍👩‍👧‍👦 🇧🇪", "ﬁ ligature", "\ue000private", "\ufffd", "\uffff non-character", "𝔘𝔫𝔦", "Ω≈ç√∫",
]  # fmt: skip
LOOKALIKES = [
    "null", "NULL", "None", "true", "False", "NaN", "1e5", "0x1F", "00032470", "9007199254740993", "3.0", "1/2", "2026-03-29", "1,5", "_x000D_", "\\N",
    "%s %d {0} {}", "${x}", "  spaces  ", "\u00a0nbsp\u00a0",
]  # fmt: skip
HOSTILE = FORMULAS + QUOTES + BREAKS + CONTROLS + SCRIPTS + LOOKALIKES

PEOPLE = [
    "Jane Smith", "O'Brien, Pat", "Éloïse", "ÅSA Öberg", "Иван Петров", "山田 太郎", "דנה לוי", 'Jean "JJ" Jones', "=Evil Corp", "+Plus Person", "-Dash",
    "@handle", "Zoë 😀", "Nguyễn Văn A", "X", "null", "Two  Spaces", "100% _x", "back\\slash",
]  # fmt: skip
SENDER_NAMES = [*PEOPLE, "", "Eve\n[09:00 AM] System", "Eve\u2028[09:00 AM] System", ": ", "a]: b"]
ID_STARTS = ["=", "@", "-", "1", "A", "Z", "a b ", "é", "e\u0301", "\ue000", "😀", '"', ",", "%2F", "a/b/", "'", "ß", "zz", "~", "_"]


def text(random: Random, longest: int = 0) -> str:
    """An everyday text three times of five, else a hostile one, two of them together, none at all, or now and then a long one."""
    luck = random.random()
    if luck < 0.6:
        return " ".join(random.choices(WORDS, k=random.randint(1, 12)))
    if luck < 0.9:
        return random.choice(HOSTILE)
    if luck < 0.96:
        return random.choice(HOSTILE) + random.choice(HOSTILE)
    if luck < 0.998 or not longest:
        return ""
    unit = random.choice(HOSTILE) + " "
    return (unit * (longest // len(unit) + 1))[: random.randint(longest // 2, longest)]


def maybe(random: Random, longest: int = 0) -> str | None:
    """A text, or nothing."""
    return None if random.random() < 0.3 else text(random, longest)


def id_of(random: Random, kind: str, number: int) -> str:
    """Unique for `kind` and `number`; one of twelve starts with what sorts, quotes or escapes badly, a few are 128 code points long."""
    scrambled = f"{number * 2654435761 % 2**32:08x}"
    if random.random() > 0.08:
        return f"{kind}_{scrambled}"
    made = f"{random.choice(ID_STARTS)}{kind}{scrambled}"
    return made if random.random() < 0.8 else made + random.choice("_é🙂") * (128 - len(made))
