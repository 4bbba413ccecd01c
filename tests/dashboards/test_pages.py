"""Every page as Streamlit runs it, on full, empty and broken workspaces."""

import pytest

PAGES = ["home_page.py", "scorecard_page.py", "creatives_page.py"]
SHIPPED = "beauty-generated-2026w47"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_runs_on_a_full_workspace(example, open_page, html, page):
    """A page shows its content and the moment of publication, and raises nothing."""
    app = open_page(example, page)
    assert not app.exception
    assert "Published 30 Nov 2026, 10:00 (Europe/Paris), version 1" in html(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_workspace_with_nothing_published_says_what_to_run(tmp_path, open_page, html, page):
    """Before the first publication every page names the command that fills it."""
    (tmp_path / "abp.yaml").touch()
    app = open_page(tmp_path, page)
    assert not app.exception
    assert "Nothing is published yet." in html(app)
    assert "<code>abp demo</code>" in html(app)


@pytest.mark.parametrize("page", PAGES)
def test_empty_tables_are_told_kindly(publish, open_page, html, page):
    """With published but empty tables a page says what is missing and how it comes."""
    app = open_page(publish(), page)
    assert not app.exception
    assert "yet." in html(app)


def test_no_workspace_is_told_with_its_remedy(tmp_path, open_page, html):
    """A folder without abp.yaml is named as such, with the command that makes one."""
    app = open_page(tmp_path)
    assert not app.exception
    assert "<code>abp init DIR</code>" in html(app)


def test_damaged_tables_are_told_with_their_remedy(publish, open_page, html):
    """A published file that was changed is refused, not shown."""
    root = publish()
    (root / "data" / "published" / "v1" / "lifts.parquet").write_bytes(b"?")
    app = open_page(root)
    assert not app.exception
    assert "Its bytes are not those published." in html(app)


def test_home_shows_every_experiment_and_every_concern(example, open_page, html):
    """Home has each experiment's sentence and state, and each light that is not in order."""
    text = html(open_page(example))
    assert "Generated creatives win: CTR is 11.0% higher than with baselines." in text
    assert "units are not split as planned" in text
    assert "10 received events are unaccounted for" in text
    assert f'href="scorecard?experiment={SHIPPED}"' in text


def test_what_comes_from_data_is_never_markup(example, open_page, html):
    """A source or product named like a tag is shown as its name."""
    home = html(open_page(example))
    assert "partner &lt;ads&gt;" in home
    assert "<ads>" not in home
    creatives = html(open_page(example, "creatives_page.py"))
    assert "Night serum &lt;b&gt;30 ml&lt;/b&gt;" in creatives


def test_many_experiments_can_be_searched(publish, table_of, open_page, html):
    """With more experiments than cards the rest is listed, and a search finds any of them."""
    rows = [
        {"key": f"test-{number:03}", "state": "stopped", "primary_metric": "ctr"}
        for number in range(40)
    ]
    app = open_page(publish(experiments=table_of("experiments", rows)))
    assert "28 more" in html(app)
    app.text_input(key="search").set_value("test-033").run()
    assert "test-033" in html(app)
    assert "test-001" not in html(app)


def test_many_alarms_are_counted_and_a_few_are_told(publish, table_of, open_page, html):
    """Hundreds of broken splits do not push the experiments off the page."""
    keys = [f"test-{number:03}" for number in range(40)]
    experiments = [{"key": key, "state": "running", "primary_metric": "ctr"} for key in keys]
    scorecards = [
        {"experiment": key, "verdict": "invalid", "srm_verdict": "alarm", "srm_p_value": 1e-9}
        for key in keys
    ]
    folder = publish(
        experiments=table_of("experiments", experiments),
        scorecards=table_of("scorecards", scorecards),
    )
    text = html(open_page(folder))
    assert "40 alarms" in text
    assert "and 34 more" in text
    concerns = text.partition('<ul class="abp-concerns">')[2].partition("</ul>")[0]
    assert concerns.count("Split of") == 6


def test_scorecard_shows_the_experiment_that_was_asked_for(example, open_page, html):
    """The address names the experiment; choosing another one changes page and address."""
    app = open_page(example, "scorecard_page.py", experiment=SHIPPED)
    assert app.selectbox[0].value == SHIPPED
    text = html(app)
    assert "Generated creatives win" in text
    assert "a rate needs at least two units and a denominator" in text
    assert text.count('class="abp-duel"') == 5
    app.selectbox[0].set_value("audio-scenes-2026w46").run()
    assert "The split is broken" in html(app)
    assert app.query_params["experiment"] in ("audio-scenes-2026w46", ["audio-scenes-2026w46"])


def test_the_chosen_experiment_is_remembered(example, open_page):
    """Who looks at another page and comes back finds the experiment that was chosen."""
    app = open_page(example, "scorecard_page.py")
    app.selectbox[0].set_value("audio-scenes-2026w46").run()
    app.query_params.clear()
    app.switch_page("creatives_page.py").run()
    app.switch_page("scorecard_page.py").run()
    assert app.selectbox[0].value == "audio-scenes-2026w46"


def test_scorecard_draws_the_forest_plot_of_the_report(example, open_page):
    """The lifts are drawn by the figure that reports use: one line for each row of the table."""
    app = open_page(example, "scorecard_page.py", experiment=SHIPPED)
    drawing = next(block.value for block in app.markdown if "<svg" in block.value)
    assert drawing.count('class="name"') == 8
    assert drawing.count('class="why"') == 1


def test_scorecard_of_an_unknown_experiment_says_so(example, open_page, html):
    """An address with a key that does not exist is answered with a word and another experiment."""
    app = open_page(example, "scorecard_page.py", experiment="<gone>")
    assert not app.exception
    assert "There is no experiment &lt;gone&gt;." in html(app)


def test_scorecard_compares_any_treatment(example, open_page, html):
    """With several treatments a person chooses which one is compared."""
    app = open_page(example, "scorecard_page.py", experiment="warm-light-2026w48")
    assert "CTR of warm" in html(app)
    app.button_group[0].set_value("cold").run()
    assert "CTR of cold" in html(app)


def test_scorecard_of_a_draft_is_no_error(example, open_page, html):
    """An experiment without traffic has a sentence, no numbers and no exception."""
    app = open_page(example, "scorecard_page.py", experiment="props-2026w49")
    assert not app.exception
    assert "No verdict yet" in html(app)


def test_creatives_can_be_filtered(example, open_page, html):
    """Filters narrow the gallery, and the count says how many are left."""
    app = open_page(example, "creatives_page.py")
    assert "18 creatives" in html(app)
    assert "picture not found" in html(app)
    app.selectbox(key="creatives_source").set_value("baseline").run()
    assert "6 creatives" in html(app)
    app.selectbox(key="creatives_product").set_value("Paper lamp").run()
    assert "1 creative." in html(app)


def test_a_newer_publication_is_shown_at_the_next_look(publish, table_of, open_page, html):
    """After a job has published again, the next run of a page shows the newer version."""
    row = {"key": "first", "state": "running", "primary_metric": "ctr"}
    app = open_page(publish(experiments=table_of("experiments", [row])))
    publish(experiments=table_of("experiments", [row | {"key": "second"}]))
    app.run()
    assert "version 2" in html(app)
    assert "second" in html(app)
