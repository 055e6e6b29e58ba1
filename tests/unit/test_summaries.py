"""What summaries claim of reverts: per language, per tool, hostile input, and the sample labelled by reading."""

import os
import random
import re
import time
from pathlib import Path

import pytest

from scripts import evaluate_reverts
from services.simulator.world import wikis
from services.worker import summaries
from services.worker.summaries import Claim, language_of, messages_of_table, normalised_user, parse_summary

RECORDING = Path(os.environ.get("WIKI_RECORDING", "../shared/data/real-edits-2024-12-07.jsonl.gz"))
BY_LANGUAGE = [
    line.split("\t")
    for line in Path(__file__).with_name("revert_summaries.tsv").read_text(encoding="utf-8").splitlines()[1:]
]
ZOE = "[[Special:Contributions/Zoe Q|Zoe Q]] ([[User talk:Zoe Q|talk]])"


@pytest.mark.parametrize(("wiki", "rev_id", "summary"), BY_LANGUAGE, ids=[f"{row[0]}-{row[1]}" for row in BY_LANGUAGE])
def test_undo_and_rollback_of_each_language(wiki: str, rev_id: str, summary: str) -> None:
    """Undo summaries name the revision, rollback summaries (revision 0 in the table) whose version is restored."""
    undone = int(rev_id)
    expected = Claim("undo" if undone else "rollback", "Zoe Q", undone, "" if undone else "Max R", "standard", "")
    assert parse_summary(wiki, summary) == expected


def test_the_largest_wikipedias_have_their_messages() -> None:
    assert {
        *(
            "en",
            "de",
            "fr",
            "es",
            "it",
            "ru",
            "ja",
            "zh",
            "pl",
            "pt",
            "nl",
            "sv",
            "uk",
            "ar",
            "arz",
            "ceb",
            "vi",
            "war",
        ),
        *("fa", "ca", "id", "ko", "nb", "fi", "tr", "cs", "hu", "ro", "he", "sr", "da", "bg", "el", "sk", "eo", "eu"),
    } <= set(messages_of_table())
    assert len({row[0] for row in BY_LANGUAGE}) >= 60


def undo(user: str, rev_id: int, form: str = "standard", exempt: str = "") -> Claim:
    return Claim("undo", user, rev_id, "", form, exempt)  # type: ignore[arg-type]


def rollback(user: str, restored: str = "", form: str = "standard", exempt: str = "") -> Claim:
    return Claim("rollback", user, 0, restored, form, exempt)  # type: ignore[arg-type]


def restore(restored: str, exempt: str = "") -> Claim:
    return Claim("restore", "", 0, restored, "tool", exempt)  # type: ignore[arg-type]


def bare(user: str = "", exempt: str = "") -> Claim:
    return Claim("manual", user, 0, "", "bare", exempt)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wiki", "summary", "expected"),
    [
        # MediaWiki in English, on all wikis
        ("enwiki", f"Undid revision [[Special:Diff/77|77]] by {ZOE}", undo("Zoe Q", 77)),
        ("frwiki", f"Undid revision 77 by {ZOE} no source", undo("Zoe Q", 77)),
        ("swwiki", f"Undo revision 77 by {ZOE}", undo("Zoe Q", 77)),
        ("enwiki", f"no source given. Undid revision 77 by {ZOE}", undo("Zoe Q", 77)),
        ("enwiki", f"[[WP:NOR]] Undid revision 77 by {ZOE}", undo("Zoe Q", 77)),
        ("enwiki", f"/* Plot */ Undid revision 77 by {ZOE}", undo("Zoe Q", 77)),
        ("enwiki", f"Undid [[WP:GF|good-faith]] revision 77 by {ZOE}", undo("Zoe Q", 77)),
        ("enwiki", "Undid revision 77 by a hidden user", undo("", 77)),
        ("enwiki", "Undid revision 77, see talk", undo("", 77)),
        ("enwiki", "Undo revision [[Special:Diff/77|77]] by [[User:Zoe_Q]]", undo("Zoe Q", 77)),
        ("enwiki", f"Reverted edits by {ZOE} to last revision by [[User:Max R|Max R]]", rollback("Zoe Q", "Max R")),
        ("enwiki", "Reverted edits by a hidden user to last revision by [[User:Max R|Max R]]", rollback("", "Max R")),
        ("enwiki", f"Reverted edits by {ZOE} to last version by Max R (bot)", rollback("Zoe Q", "Max R (bot)")),
        (
            "enwiki",
            f"Reverted edits by {ZOE} to last version by J. Smith, Jr.: spam",
            rollback("Zoe Q", "J. Smith, Jr."),
        ),
        # Local versions of MediaWiki's messages
        (
            "dewiki",
            "Änderung [[Spezial:Diff/77|77]] von [[Special:Contribs/Zoe Q|Zoe Q]] rückgängig gemacht; unbelegt",
            undo("Zoe Q", 77),
        ),
        (
            "dewiki",
            "Änderungen von [[Special:Contribs/Zoe Q|Zoe Q]] ([[User talk:Zoe Q|Diskussion]]) auf die letzte Version "
            "von [[:Benutzer:Max R|Max R]] zurückgesetzt",
            rollback("Zoe Q", "Max R"),
        ),
        (
            "ruwiki",
            "отмена правки [[Special:Diff/77|77]] участника [[Special:Contribs/Zoe Q|Zoe Q]] ([[UT:Zoe Q|обс.]])",
            undo("Zoe Q", 77),
        ),
        (
            "itwiki",
            "Annullata la modifica 77 di [[Speciale:Contributi/Zoe Q|Zoe Q]] ([[Discussioni utente:Zoe Q|disc.]])",
            undo("Zoe Q", 77),
        ),
        ("eswiki", f"Deshecha la edición 77 de {ZOE}", undo("Zoe Q", 77)),
        # FlaggedRevs
        (
            "enwiki",
            "Reverted 2 pending edits by [[Special:Contributions/Zoe Q|Zoe Q]] and "
            "[[Special:Contributions/Yan|Yan]] to revision 76 by Max R: vandalism",
            rollback("Zoe Q", "Max R", exempt="vandalism"),
        ),
        (
            "dewiki",
            "Die letzte Textänderung von [[Spezial:Beiträge/Zoe Q|Zoe Q]] wurde verworfen und die Version "
            "[[Spezial:PermaLink/76|76]] von Max R wiederhergestellt. – unbelegt",
            rollback("Zoe Q", "Max R"),
        ),
        # Wikibase
        ("wikidatawiki", "/* undo:0||77|Zoe Q */ wrong item", undo("Zoe Q", 77, "tool")),
        ("wikidatawiki", "/* restore:0||76|Max R */", restore("Max R")),
        # Tools
        ("enwiki", f"Reverted 1 edit by {ZOE} to last revision by Max R", rollback("Zoe Q", "Max R", "tool")),
        ("enwiki", f"Reverted 3 edits by {ZOE}: Unsourced", rollback("Zoe Q", form="tool")),
        ("enwiki", f"Reverted [[WP:AGF|good faith]] edits by {ZOE}: See talk", rollback("Zoe Q", form="tool")),
        (
            "enwiki",
            f"Reverted 1 [[WP:AGF|good faith]] edit by {ZOE} using [[WP:STiki|STiki]]",
            rollback("Zoe Q", "", "tool"),
        ),
        (
            "enwiki",
            f"Reverted 1 edit by {ZOE} identified as [[WP:VAND|test/vandalism]] to last revision by Max R. ([[WP:TW]])",
            rollback("Zoe Q", "Max R", "tool", "vandalism"),
        ),
        ("enwiki", "Reverted 1 edit by an unknown user: Unsourced", rollback("", form="tool")),
        (
            "enwiki",
            f"[[WP:ROLLBACK|Reverted]] edits by {ZOE} to last version by Max R: tests ([[WP:HG|HG]]) (3.4.12)",
            rollback("Zoe Q", "Max R"),
        ),
        ("enwiki", f"Undid edits by {ZOE} to last revision by [[User:Max R]]", undo("Zoe Q", 0, "tool")),
        ("enwiki", f"Rollback edit(s) by {ZOE}: tests [[w:en:WP:RW|(RW 16.1)]]", rollback("Zoe Q", form="tool")),
        (
            "enwiki",
            f"Reverting edit(s) by {ZOE} to rev. 76 by Max R: Vandalism [[w:en:WP:RW|(RW 16.1)]]",
            rollback("Zoe Q", "Max R", "tool", "vandalism"),
        ),
        (
            "enwiki",
            "Reverting possible vandalism by [[Special:Contribs/Zoe Q|Zoe Q]] to version by Max R. "
            "[[WP:CBFP|Report False Positive?]] Thanks, [[WP:CBNG|ClueBot NG]]. (42) (Bot)",
            rollback("Zoe Q", "Max R", "tool", "vandalism"),
        ),
        (
            "enwiki",
            "Reverting possible vandalism by [[Special:Contribs/Zoe Q|Zoe Q]] to older version. [[WP:CBNG|ClueBot]].",
            rollback("Zoe Q", "", "tool", "vandalism"),
        ),
        (
            "enwiki",
            "BOT--Reverting link addition(s) by [[Special:Contributions/Zoe Q|Zoe Q]]",
            rollback("Zoe Q", "", "tool"),
        ),
        ("enwiki", f"Restored revision 76 by {ZOE}: last good", restore("Zoe Q")),
        ("enwiki", "Revert to revision 76 dated 2024-12-06 10:11:12 by Max R: unsourced", restore("Max R")),
        ("enwiki", "Reverted to revision 76 by [[Special:Contributions/Max R|Max R]]: unsourced", restore("Max R")),
        (
            "dewiki",
            "Revert auf Version von [[:Benutzer:Max R]] (18:25:15 28. Sep. 2024). Grund: keine Verbesserung",
            restore("Max R"),
        ),
        (
            "zhwiki",
            "回退[[Special:Contributions/Zoe Q|Zoe Q]]（[[User talk:Zoe Q|讨论]]）做出的3次编辑：没有来源",
            rollback("Zoe Q"),
        ),
        # By hand
        ("enwiki", "rv", bare()),
        ("enwiki", "/* Cast */ Rv, unsourced", bare()),
        ("enwiki", "rvv", bare(exempt="vandalism")),
        ("enwiki", "(rvt)", bare()),
        ("enwiki", "Reverting, see talk", bare()),
        ("enwiki", "revert sock", bare(exempt="sockpuppet")),
        ("enwiki", "undid vandalism", bare(exempt="vandalism")),
        ("enwiki", "rolled back unsourced additions", bare()),
        ("enwiki", f"rv edits by {ZOE}", bare("Zoe Q")),
        ("enwiki", "rv sock of [[User:Zoe Q]]", bare(exempt="sockpuppet")),
        ("enwiki", "partial rvt, see talk", bare()),
        ("enwiki", "restored to the last stable version", bare()),
        ("enwiki", "/* Plot */ Restoring older version", bare()),
        ("enwiki", "reversed previous edit", bare()),
        ("enwiki", "restored the table of the older version", None),
        ("enwiki", "reversed word order", None),
        ("dewiki", "Revert - keine Verbesserung", bare()),
        ("dewiki", "rückgängig gemacht", bare()),
        ("frwiki", "révocation vandalisme", bare(exempt="vandalism")),
        ("eswiki", "revertido", bare()),
        ("ruwiki", "откат вандализма", bare(exempt="vandalism")),
        ("jawiki", "差し戻し", bare()),
        ("zhwiki", "回退破坏", bare(exempt="vandalism")),  # no spaces between words
        ("jawiki", "出典なしの記述を差し戻し", None),  # not at the start
    ],
)
def test_forms(wiki: str, summary: str, expected: Claim | None) -> None:
    assert parse_summary(wiki, summary) == expected


@pytest.mark.parametrize(
    "summary",
    [
        "",
        " ",
        "/* Reverted edits */",
        "service to the servant's nerve",
        "rvxyz",
        "reverted123",
        "irreversible changes",
        "undocumented parameter",
        'Signing comment by [[Special:Contributions/Zoe Q|Zoe Q]] - "undone"',
        "Reporting [[Special:Contributions/Zoe Q|Zoe Q]].",
        "2 users left, rm [[Special:Contributions/Zoe Q|Zoe Q]] (blocked 3 days)",
        "Zoe Q moved page [[A]] to [[B]]: reverting is possible",
        "You have been blocked from editing for violation of the [[WP:3RR|three-revert rule]] on [[:A]].",
        "some channels are off the air; revert if they are back",
        "please undo if unnecessary",
        "Report for example.org (Local Regenerate locally revertlisted (\\.org\\b)- Autoclosed: none left )",
        "Restored the table of [[Special:Contributions/Zoe Q|Zoe Q]]",
        "removed [[Category:Reverted edits]] using [[WP:HC|HotCat]]",
    ],
)
def test_no_reverts(summary: str) -> None:
    assert parse_summary("enwiki", summary) is None


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("Zoe_Q", "Zoe Q"),
        ("zoe q", "Zoe q"),
        ("éva", "Éva"),
        ("ßeta", "ßeta"),
        ("192.0.2.77", "192.0.2.77"),
        ("2001:db8::1", "2001:DB8:0:0:0:0:0:1"),
        ("2001:0db8:0000:0:0:0:0:1", "2001:DB8:0:0:0:0:0:1"),
        ("~2026-1-2", "~2026-1-2"),
        ("A&amp;B", "A&B"),
        ("O&#39;Neil", "O'Neil"),
        ("Zoe%20Q", "Zoe Q"),
        ("\u200eZoe Q\u200e", "Zoe Q"),
        ("a:b:c:d", "A:b:c:d"),
        ("::::", "::::"),
        ("", ""),
    ],
)
def test_user_names(name: str, user: str) -> None:
    assert normalised_user(name) == user


def test_names_in_links_are_no_claims() -> None:
    claim = parse_summary("enwiki", "Undid revision 5 by [[Special:Contributions/VandalSock|VandalSock]]")
    assert claim == undo("VandalSock", 5)
    assert parse_summary("enwiki", f"Undid revision 5 by {ZOE.replace('Zoe Q', 'Vandal')}") == undo("Vandal", 5)
    assert parse_summary("enwiki", "/* Vandalism */ rv") == bare()


def test_exempt_wording() -> None:
    for reason, kind in [
        ("rvv", "vandalism"),
        ("[[WP:BLP|BLP]] violation", "biography"),
        ("copyvio from a news site", "copyright"),
        ("block evasion", "sockpuppet"),
        ("unsourced", ""),
        ("vandalised? no, unsourced", "vandalism"),
        ("Evandale", ""),
    ]:
        claim = parse_summary("enwiki", f"Undid revision 5 by {ZOE}: {reason}")
        assert claim is not None
        assert claim.exempt == kind, reason


def test_turkish_capitals_do_not_shift_the_match() -> None:
    assert parse_summary("trwiki", f"İİİİİİ Undid revision 77 by {ZOE}") == undo("Zoe Q", 77)


def test_languages_of_wikis() -> None:
    wikis = {"dewiki": "de", "frwiktionary": "fr", "zh_yuewiki": "yue", "be_x_oldwiki": "be-tarask", "nowiki": "nb"}
    assert {wiki: language_of(wiki) for wiki in wikis} == wikis
    assert parse_summary("barwiki", f"Änderung 77 von {ZOE} rückgängig gemacht") == undo(
        "Zoe Q", 77
    )  # falls back to de
    assert parse_summary("", f"Undid revision 77 by {ZOE}") == undo("Zoe Q", 77)
    assert parse_summary("no such wiki", "rv") == bare()


def test_any_text_gives_a_claim_or_none() -> None:
    """Random text over the letters that forms are made of: no exception, sound types, names without markup."""
    generator = random.Random(7)
    pieces = [
        *"[](){}|<>#/*:;._- \u200e\u00a0\n\x00İßé編集\U0001f600",
        "Undid revision ", "Reverted 1 edit by ", "rv ", "[[Special:Contributions/", "[[User:", "|x]]",
        " to last revision by ", "/* ", " */", "1234", "99999999999999999999", "Änderungen von ", "による",
        "Откат правок ",
    ]  # fmt: skip
    seen = 0
    for _ in range(4_000):
        text = "".join(generator.choices(pieces, k=generator.randrange(1, 30)))
        claim = parse_summary(generator.choice(["enwiki", "dewiki", "jawiki", "ruwiki", "trwiki"]), text)
        if claim:
            seen += 1
            assert 0 <= claim.rev_id < 10**19
            assert not re.search(r"[\[\]|]", claim.user + claim.restored_user)
    assert seen > 100


@pytest.mark.parametrize(
    "piece",
    ["a", "[[", "(", "Undid revision ", "Undid revision [[", "[[Special:Contributions/a|", "Reverted edits by " + ZOE,
     "/*", "rv by ", "Änderung 1 von ", "による", "İ"],
)  # fmt: skip
def test_a_huge_comment_costs_no_more_than_a_long_one(piece: str) -> None:
    comment = piece * (300_000 // len(piece))
    for wiki in ("enwiki", "dewiki", "jawiki", "ruwiki"):
        parse_summary(wiki, comment)  # compiles
        started = time.process_time()
        parse_summary(wiki, comment)
        assert time.process_time() - started < 0.1  # 0.003 measured; quadratic time would be seconds


def test_the_table_stays_within_what_re2_can_run() -> None:
    """No look-around, no back-references, no possessive or atomic groups, so that ClickHouse can run the forms too."""
    beyond = re.compile(r"\(\?(?:[=!>]|<[=!]|P=)|\\[1-9]|[+*?}]\+")
    count = 0
    for code in messages_of_table():
        known = summaries._wiki_of_language(code)
        for regex in [*(pattern.phrase.regex for _, group in known.patterns for pattern in group), known.bare]:
            assert not beyond.search(regex), regex
            count += 1
    assert count > 1_000


def test_every_form_is_found_by_a_telling_word() -> None:
    """A form whose word is in every other summary would cost each of them a regular expression."""
    for code in messages_of_table():
        known = summaries._wiki_of_language(code)
        assert not [beginning for beginning in known.bare_beginnings if re.search(r"[\\()\[\]?*+.{|]", beginning)], code
        for word, group in known.patterns:
            assert len(word) >= (3 if word.isascii() else 2) or word == "/*", group


def test_what_people_of_the_war_game_write_when_they_revert() -> None:
    """The game's words were not taken from the table: where one was missing in it, a war went unseen."""
    written = {(wiki.facts.name, text) for wiki in wikis() for text in (*wiki.language.bare, *wiki.language.vandalism)}
    assert {(wiki, text) for wiki, text in written if parse_summary(wiki, text) is None} == set()


def test_what_software_of_the_war_game_writes_names_whom_it_reverts() -> None:
    for wiki in wikis():
        language = wiki.language
        forms = [language.undo, language.rollback, language.restore, language.patrol_bot, *language.tools]
        for form in filter(None, forms):
            summary = form.format(rev=77, editor="Zoe Q", author="Max R")
            claim = parse_summary(wiki.facts.name, summary)
            assert claim is not None, (wiki.facts.name, summary)
            assert claim.form != "bare", (wiki.facts.name, summary)
            assert claim.restored_user == "Max R" if form == language.restore else claim.user == "Zoe Q", summary


def test_against_the_labels_made_by_reading() -> None:
    if not RECORDING.exists():
        pytest.skip(f"no recording at {RECORDING}: set WIKI_RECORDING to the edits of 2024-12-07")
    result = evaluate_reverts.score(RECORDING)
    assert result is not None
    assert result.labelled == 300
    assert result.precision >= 0.98
    assert result.standard_recall >= 0.95
    assert result.named >= 0.98
    assert not [edit for edit, label, claim in result.disagreements if claim and not label.is_revert]  # no substrings
