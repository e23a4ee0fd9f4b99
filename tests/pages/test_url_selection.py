from __future__ import annotations

from streamlit.testing.v1 import AppTest

from pages import shared


def page(body):
    return AppTest.from_function(body, default_timeout=30)


def test_ids_of_a_selection_whatever_form_the_points_come_in():
    event = {
        "selection": {"points": [{"id": "7"}, {"customdata": ["8", 1]}, {"customdata": {"0": "9"}}]}
    }
    assert shared.selected_ids(event) == ["7", "8", "9"]
    assert shared.selected_ids({"selection": {"points": []}}) == []
    assert shared.selected_ids(None) == []
    assert shared.selected_ids({"selection": {"points": [{"id": "7"}, {"id": "7"}]}}) == ["7"]


def test_the_url_holds_the_selection_and_gives_it_back_to_whoever_comes_without():
    def body():
        import streamlit as st

        from pages import shared

        st.button("choose", on_click=lambda: shared.select(example="12"))
        st.button("other", on_click=lambda: shared.select(run="b"))
        st.text(str(shared.selection()))
        shared.complete_address()

    at = page(body)
    at.query_params["run"] = "a"
    at.query_params["theirs"] = "stays"
    at.run()
    at.button[0].click().run()
    assert at.query_params["run"] == "a" and at.query_params["example"] == "12"
    assert not at.sidebar.get("html")

    at.query_params.clear()
    at.run()
    assert at.text[0].value == "{'run': 'a', 'example': '12'}"
    (script,) = at.sidebar.get("html")
    assert '"run=a&example=12"' in script.proto.body
    assert not at.query_params, "the address is completed without a step to go back by"

    at.query_params["theirs"] = "stays"
    at.button[1].click().run()
    assert at.text[0].value == "{'run': 'b'}", "another run has examples of its own"
    assert at.query_params["theirs"] == "stays"


def test_an_address_that_a_script_holds_cannot_end_it():
    def body():
        from pages import shared

        shared.assume(run="</script><b>", example='"')
        shared.complete_address()
        shared.go_to("examples")

    for element in page(body).run().get("html"):
        assert element.proto.body.count("</script>") == 1
        assert "<b>" not in element.proto.body


def test_settings_of_the_view_share_one_readable_key_and_keep_any_text():
    def body():
        import streamlit as st

        from pages import shared

        def change():
            shared.set_view(search="a~b.c & 50% 是", show="flips")

        st.button("change", on_click=change)
        st.text(shared.view("search"))
        st.text(shared.view("show", "all"))

    at = page(body).run()
    assert [t.value for t in at.text] == ["", "all"]
    at.button[0].click().run()
    assert [t.value for t in at.text] == ["a~b.c & 50% 是", "flips"]
    assert shared.view_key(show="flips", colour="kind") == "colour.kind~show.flips"


def test_a_choice_and_the_url_follow_each_other():
    def body():
        import streamlit as st

        from pages import shared

        options = {
            "all": "All",
            "flips": "Flips",
            "gains": "Gains",
            "losses": "L",
            "x": "X",
            "y": "Y",
        }
        st.text(shared.choose("Show", options, "show"))

    at = page(body)
    at.query_params["view"] = "show.flips"
    at.run()
    assert at.selectbox[0].value == "flips" and at.text[0].value == "flips"
    at.selectbox[0].select("gains").run()
    assert at.text[0].value == "gains" and at.query_params["view"] == "show.gains"
    at.selectbox[0].select("all").run()
    assert at.text[0].value == "all" and "view" not in at.query_params


def test_texts_from_data_are_never_markup():
    assert shared.escaped("<b>x</b>") == "&lt;b&gt;x&lt;/b&gt;"
    assert shared.plain("a\nb") == "a b"
    assert shared.plain("cross-attention on easy 1") == r"cross\-attention on easy 1"
    for link in ("www.example.com", "https://example.com", "a@example.com", ":material/home:"):
        seen = shared.plain(link).replace("\\", "")
        assert seen != link and seen.replace("\u2060", "") == link
    assert "\u202e" not in shared.plain("x\u202ey")
    assert "\u202e" not in shared.escaped("x\u202ey")
