from benchmarks.results import HEADER, table, write_section


def test_a_section_is_replaced_and_others_stay(tmp_path):
    file = tmp_path / "RESULTS.md"
    write_section("a", "First", "old figures", file)
    write_section("b", "Second", "two", file)
    write_section("a", "First", "three", file)
    text = file.read_text()
    assert text.startswith(HEADER)
    assert "old figures" not in text
    assert text.index("three") < text.index("## Second") < text.index("two")
    assert text.count("## First") == 1


def test_table_is_markdown():
    assert table(["a", "b"], [[1, "x"]]) == "| a | b |\n| --- | --- |\n| 1 | x |"
