"""docs/settings.md is made from the settings; this fails where the two have drifted apart."""

from scripts.make_settings_doc import PAGE, groups, page
from services.common.settings import Settings


def test_the_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text() == page(), "run `make docs` and commit docs/settings.md"


def test_every_setting_stands_in_one_group() -> None:
    listed = [name for _, names in groups() for name in names]
    assert listed == list(Settings.model_fields)


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
