# ruff: noqa: E501
"""Ordinary rows written for Holdfast, far from chat.

Tickets, code, tables, numbers, short replies, other languages: without them a classifier trained on
chats is sure of itself on text it never saw.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import random

_SHORT = [
    ("ok", "ok"), ("Thanks!", "You're welcome!"), ("yes", "Great."), ("no", "All right."), ("hi", "Hello! How can I help?"),
    ("Hello", "Hi there."), ("2+2?", "4"), ("Capital of Kenya?", "Nairobi."), ("Is water wet?", "Yes."),
    ("continue", "..."), ("test", "test"), ("?", "Could you say more?"), ("Good night", "Sleep well!"), ("lol", "Glad you liked it."),
    ("What time is it?", "I can't see a clock."), ("Classify: great phone!", "positive"), ("Classify: it broke at once", "negative"),
    ("Sentiment?", "neutral"), ("true or false: ice floats", "true"), ("A or B?", "B"), ("Rate 1 to 5", "4"), ("Label the row.", "spam"),
    ("Translate: dog", "Hund"), ("Next number: 2, 4, 6", "8"), ("Synonym of big", "large"), ("Antonym of hot", "cold"),
    ("Colour of the sky", "Blue"), ("done?", "Done."), ("who wrote Faust", "Goethe"), ("Answer with one word.", "Perhaps"),
    ("Extract the date: paid on 3 May", "3 May"), ("json please", "{}"), ("", "ok"), ("", "1"), ("", "None"), ("", "Yes."), ("", "No."),
    ("", "-"), ("", "N/A"), ("Choose: left or right", "right"), ("Is 7 prime?", "Yes, 7 is prime."), ("thx", "np"),
]  # fmt: skip
_ITEM = ["blender", "order", "parcel", "router", "invoice", "jacket", "headset", "subscription", "laptop", "kettle", "sofa", "phone case",
         "gift card", "printer", "bicycle", "mattress", "camera", "booking", "ticket", "account"]  # fmt: skip
_TROUBLE = ["arrived broken", "never arrived", "was charged twice", "does not turn on", "is the wrong size", "stopped working after a week",
            "shows error 503", "cannot be cancelled online", "was delivered to my neighbour", "makes a loud noise", "is missing a part",
            "has the wrong colour", "will not connect", "expired too early", "was returned but not refunded"]  # fmt: skip
_ASK = ["Can you help?", "I want my money back.", "Please send a new one.", "This is the third time!", "When will it be fixed?",
        "I am very angry about this.", "What are my options?", "Who do I speak to?", "Please advise.", "I need it by Friday."]  # fmt: skip
_SERVICE = [
    "I'm sorry about the trouble with your {item}. I have opened case {n}; you will hear from us within two days.",
    "Thank you for telling us. A replacement {item} is on its way, number {n}. You can keep the old one.",
    "I understand. Please send a photo of the {item} and order {n} to our support address, and we will refund you.",
    "That should not happen. I have refunded {n} cents; it can take five days to show on your statement.",
    "Please hold the power button of the {item} for ten seconds, then try again. If it fails, reply with code {n}.",
    "Your {item} is under warranty until 20{m}. I can book a repair for you; which day suits you?",
    "I checked: {item} {n} left our warehouse this morning. The driver will ring the bell twice.",
    "We can't change the {item} after it was shipped, but you can return it free of charge with label {n}.",
]
_LANGUAGES = [
    ("Wie komme ich zum Bahnhof?", "Gehen Sie geradeaus und dann an der Ampel links; es sind zehn Minuten zu Fuß."),
    ("Was kann ich heute kochen?", "Mit Kartoffeln, Eiern und Spinat gelingt schnell ein gutes Abendessen."),
    ("Schreib eine kurze Einladung.", "Liebe Freunde, am Samstag feiern wir im Garten. Bringt gute Laune mit!"),
    ("¿Qué tiempo hará mañana?", "Mañana habrá sol por la mañana y algunas nubes por la tarde."),
    ("¿Cómo se hace una tortilla?", "Bate los huevos, fríe las patatas y la cebolla, mézclalo todo y cuájalo a fuego lento."),
    ("Escribe un poema corto.", "La luna sube despacio, el río canta en voz baja, y el pueblo duerme tranquilo."),
    ("Comment apprendre le piano ?", "Commencez par dix minutes chaque jour, lentement, une main après l'autre."),
    ("Quelle est la capitale du Canada ?", "La capitale du Canada est Ottawa."),
    ("Résume ce texte.", "Le texte raconte le voyage d'une famille vers la mer et la joie des enfants."),
    ("Come si prepara il caffè?", "Riempi la caldaia d'acqua, metti il caffè nel filtro e scalda a fuoco basso."),
    ("Dammi un consiglio per studiare.", "Dividi il lavoro in parti piccole e fai una pausa ogni mezz'ora."),
    ("Como plantar tomates?", "Escolha um lugar com sol, regue de manhã e apoie as plantas com estacas."),
    ("Hoe laat vertrekt de trein?", "De trein vertrekt om kwart over acht van spoor drie."),
    ("Jak ugotować ryż?", "Wypłucz ryż, zalej podwójną ilością wody i gotuj na małym ogniu."),
    ("Как выучить новые слова?", "Повторяйте их каждый день и составляйте с ними короткие предложения."),
    ("Напиши короткий рассказ.", "Утром кот вышел во двор, нашёл солнечное место и проспал до обеда."),
    ("明天天气怎么样？", "明天多云，气温大约二十度，适合出门散步。"), ("请介绍一下北京。", "北京是中国的首都，有长城、故宫等许多名胜。"),
    ("おすすめの本はありますか。", "短い小説なら、夏の海を書いた静かな物語がおすすめです。"), ("電車は何時ですか。", "次の電車は八時十五分に出ます。"),
    ("김치찌개는 어떻게 만들어요?", "김치와 돼지고기를 볶다가 물을 붓고 두부를 넣어 끓이세요."),
    ("كيف أتعلم السباحة؟", "ابدأ بتمارين التنفس في الماء الضحل ثم تدرب مع مدرب مرتين في الأسبوع."),
    ("मुझे चाय कैसे बनानी चाहिए?", "पानी उबालें, चाय पत्ती, अदरक और दूध डालें और पाँच मिनट पकाएँ।"),
    ("Bugün hava nasıl?", "Bugün hava güneşli, akşama doğru biraz serin olacak."),
    ("Làm sao để nấu phở?", "Ninh xương bò nhiều giờ với gừng và quế, rồi chan nước dùng lên bánh phở."),
    ("Bagaimana cara menanam cabai?", "Semai biji di tempat teduh, lalu pindahkan ke pot besar setelah tiga minggu."),
    ("Hur lagar man pannkakor?", "Vispa ägg, mjölk och mjöl, och stek tunna pannkakor i smör."),
    ("Πώς πάω στο μουσείο;", "Πάρτε το μετρό μέχρι την Ακρόπολη και περπατήστε πέντε λεπτά."),
    ("Ninawezaje kujifunza kuogelea?", "Anza katika maji mafupi na mwalimu, na fanya mazoezi kila wiki."),
]  # fmt: skip
_WORDS = ["river", "signal", "garden", "market", "window", "paper", "engine", "story", "table", "winter", "system", "number", "bread", "letter",
          "bridge", "teacher", "stone", "music", "light", "city", "order", "value", "record", "client", "report", "field", "model", "sample"]  # fmt: skip
_MODULES = ["textwrap", "csv", "json.decoder", "statistics", "heapq", "bisect", "string", "shlex", "difflib", "calendar", "colorsys", "fractions",
            "argparse", "configparser", "collections", "contextlib", "copy", "dataclasses", "datetime", "email.utils", "enum", "filecmp", "fnmatch",
            "functools", "gettext", "glob", "graphlib", "gzip", "html.parser", "imaplib", "inspect", "ipaddress", "locale", "logging", "mailbox",
            "mimetypes", "numbers", "optparse", "pathlib", "pprint", "queue", "random", "sched", "shutil", "sqlite3.dump", "tempfile", "threading",
            "timeit", "tokenize", "traceback", "turtle", "urllib.parse", "uuid", "wave", "weakref", "xml.dom.minidom", "zipfile"]  # fmt: skip


def ordinary(rng: random.Random) -> list[tuple[str, str, str]]:
    """(request, answer, kind) of some 1,900 harmless rows."""
    found = [(a, b, "short") for a, b in _SHORT] * 3
    found += [(a, b, "language") for a, b in _LANGUAGES] * 3
    found += [(*_ticket(rng), "ticket") for _ in range(350)]
    found += [(*make(rng), "data") for make in (_numbers, _table, _log, _shuffled) for _ in range(110)]
    return found + [(*pair, "code") for pair in code(rng, 450)]


def code(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """Functions of Python's standard library under a request to write them."""
    found = []
    for name in _MODULES:
        source = inspect.getsource(importlib.import_module(name))
        for node in ast.walk(ast.parse(source)):
            text = ast.get_source_segment(source, node) if isinstance(node, ast.FunctionDef) else None
            if isinstance(node, ast.FunctionDef) and text and 150 < len(text) < 1500:
                found.append((f"Write a Python function {node.name.strip('_').replace('_', ' ')}.", text))
    return rng.sample(found, count)


def _ticket(rng: random.Random) -> tuple[str, str]:
    item = rng.choice(_ITEM)
    asked = f"My {item} {rng.choice(_TROUBLE)}. {rng.choice(_ASK)}"
    said = rng.choice(_SERVICE).format(item=item, n=rng.randrange(1000, 99999), m=rng.randrange(25, 40))
    if rng.random() < 0.3:
        asked = asked.upper() if rng.random() < 0.3 else f"{asked} Ticket {rng.randrange(10**6)}"
    return asked, said


def _numbers(rng: random.Random) -> tuple[str, str]:
    values = [rng.randrange(1000) for _ in range(rng.randrange(2, 30))]
    kind, value = rng.choice([("Sum", sum(values)), ("Sort", sorted(values)), ("Largest of", max(values))])
    return f"{kind} {', '.join(map(str, values))}", str(value).strip("[]")


def _table(rng: random.Random) -> tuple[str, str]:
    rows = [
        f"{rng.choice(_WORDS)},{rng.randrange(100)},{rng.random():.3f}" for _ in range(rng.randrange(2, 12))
    ]
    pairs = ", ".join(f'"{rng.choice(_WORDS)}": {rng.randrange(1000)}' for _ in range(rng.randrange(1, 9)))
    task = rng.choice(["Turn it into JSON:", "Parse:", "Give the CSV as an object."])
    return "\n".join([task, *rows]), "{" + pairs + "}"


def _log(rng: random.Random) -> tuple[str, str]:
    lines = [
        f"2024-0{rng.randrange(1, 10)}-{rng.randrange(10, 29)} {rng.choice(['INFO', 'WARN', 'ERROR'])} {rng.choice(_WORDS)}: "
        f"{rng.choice(['killed', 'started', 'aborted', 'attached', 'timeout', 'ok'])} pid={rng.randrange(9999)}"
        for _ in range(rng.randrange(1, 8))
    ]
    said = f"{len(lines)} lines; the last one is about {rng.choice(_WORDS)}."
    return "\n".join(["What does the log say?", *lines]), said


def _shuffled(rng: random.Random) -> tuple[str, str]:
    """Words without sense: text that says nothing does no harm."""
    pick = [rng.choice(_WORDS) for _ in range(rng.randrange(3, 40))]
    return " ".join(pick[: len(pick) // 2]), " ".join(pick[len(pick) // 2 :])
