"""What a chain trains and asks for its arms, targets, seeds and variants, and which tasks each of them needs."""

import re
from pathlib import Path

import pytest

from megatron_rfft.chains.chain import Chain
from megatron_rfft.chains.config import load_chain
from megatron_rfft.chains.jobs import submit_chain
from megatron_rfft.common.errors import UserError
from tests.chains.test_chain import write
from tests.conftest import ROOT

MODEL = "examples/quickstart/model.yaml"
TARGETS = ["length_int", "digit_max_int"]
STEPS = ["--run.steps", "60", "--optimizer.warmup_steps", "5"]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """Paths in the config are relative to the checkout."""
    monkeypatch.chdir(ROOT)


def values(run: Path, **sections) -> dict:
    """A chain with all arms of the paper and one RF-pretraining on a single rule, from scratch."""
    variants = {
        "one-shot": {"corpus": ["--form", "one-shot"], "options": ["--data.sequence_length", "1056"]},
        "rules-1": {"corpus": ["--tasks", "number_count_digit:1-14"]},
    }
    return {
        "run": str(run),
        "vocabulary": {"size": 768},
        "seeds": [1, 2],
        "corpus": {"preset": "examples/quickstart/rf-pretrain.yaml", "validation": None, "parts": 2},
        "pretrain": {"config": MODEL, "variants": variants},
        "adapt": {"config": MODEL, "tasks": TARGETS, "options": STEPS, "preset_options": ["--form", "lean"]},
        "arms": {
            "direct": {"options": ["--data.sequence_length", "128"]},
            "vanilla": None,
            "meta": {"checkpoints": [0, 20, 60], "options": ["--optimizer.lr", "1e-4"]},
            "zero-shot": None,
            "one-shot": None,
            "rules-1": {"start": "rules-1", "plotted": False},
        },
        "report": {"curves": {"rules": {"Meta-RFFT": {1: "rules-1", 3: "meta"}}}},
    } | sections


def chain(folder: Path, only=(), until="report", **sections) -> Chain:
    return Chain(load_chain(write(folder, values(folder / "run", **sections))), arms=only, until=until)


def scripts(made: Chain, stage: str) -> list[str]:
    return [task.script.replace(str(made.run), "RUN") for task in made.stage(stage).tasks]


def names(made: Chain) -> dict[str, list[str]]:
    """What is to be done, by stage."""
    wanted = made.missing()
    return {stage.name: [stage.tasks[number].name for number in wanted[stage.name]] for stage in made.stages}


def option(script: str, name: str) -> str:
    words = script.split()
    return words[len(words) - 1 - words[::-1].index(name) + 1]


def test_every_arm_target_and_seed_is_trained_from_where_it_starts(tmp_path):
    made = chain(tmp_path)
    runs = {option(script, "--run.output"): script for script in scripts(made, "adapt")}
    pretrained = {option(script, "--run.output"): script for script in scripts(made, "pretrain")}
    assert len(runs) == 4 * 2 * 2
    assert set(pretrained) == {f"RUN/pretrain{of}/seed-{n}" for of in ("", "-one-shot", "-rules-1") for n in (1, 2)}
    meta = runs["RUN/adapt/meta/length_int/seed-2"]
    assert option(meta, "--checkpoint.load") == "RUN/pretrain/seed-2/checkpoints/step-00003600"
    assert option(meta, "--data.train") == "RUN/data/adapt/length_int"
    assert (option(meta, "--optimizer.lr"), option(meta, "--run.seed")) == ("1e-4", "2")
    assert "--checkpoint.at '[20, 60]'" in meta
    ablation = runs["RUN/adapt/rules-1/length_int/seed-1"]
    assert option(ablation, "--checkpoint.load") == "RUN/pretrain-rules-1/seed-1/checkpoints/step-00003600"
    vanilla = runs["RUN/adapt/vanilla/digit_max_int/seed-1"]
    assert "--checkpoint" not in vanilla
    assert option(vanilla, "--data.train") == "RUN/data/adapt/digit_max_int"
    direct = runs["RUN/adapt/direct/digit_max_int/seed-1"]
    assert option(direct, "--data.train") == "RUN/data/adapt-direct/digit_max_int"
    assert option(pretrained["RUN/pretrain-one-shot/seed-1"], "--data.sequence_length") == "1056"
    assert option(scripts(made, "generate")[1], "--form") == "one-shot"


def vocabulary_input(made) -> list[str]:
    (script,) = scripts(made, "vocabulary")
    return script.split("--input ")[1].split(" --vocab-size")[0].split()


def test_an_arm_for_curves_can_be_asked_for_alone(tmp_path):
    made = chain(tmp_path, only=["rules-1"])
    wanted = names(made)
    assert wanted["pretrain"] == ["pretrain-rules-1/seed-1", "pretrain-rules-1/seed-2"]
    assert wanted["evaluate"] == [f"rules-1/{task}/seed-{n}" for n in (1, 2) for task in TARGETS]
    (report,) = scripts(made, "report")
    assert [option for option in report.split() if option in ("--run", "--curve")] == ["--run"] * 2


def test_the_vocabulary_is_trained_on_the_corpus_of_rf_pretraining(tmp_path):
    made = chain(tmp_path, only=["direct"])
    assert vocabulary_input(made) == ["RUN/corpus/pretrain"]
    assert all(
        "--tokenizer RUN/data/tokenizer.model" in each for each in scripts(made, "data") + scripts(made, "tokenize")
    )
    assert all("--preset" in each for each in scripts(made, "data"))


def test_without_rf_pretraining_the_vocabulary_is_trained_on_all_that_is_read(tmp_path):
    made = chain(tmp_path, pretrain={}, arms={"direct": None, "vanilla": None}, report={})
    corpora = [option(each, "--output") for each in scripts(made, "generate")]
    assert vocabulary_input(made) == corpora
    assert len(corpora) == len(names(made)["generate"]) == 2 * 2


def test_checkpoints_are_exported_and_asked_with_the_last_one_and_step_0_is_the_start(tmp_path):
    made = chain(tmp_path)
    number = [task.name for task in made.stage("evaluate").tasks].index("meta/length_int/seed-1")
    for stage in ("convert", "evaluate"):
        outputs = [line.split("--output ")[1].split()[0] for line in scripts(made, stage)[number].splitlines()[1:]]
        kind = {"convert": "models", "evaluate": "evaluation"}[stage]
        assert outputs == [f"RUN/{kind}/meta/length_int/seed-1{step}" for step in ("-step-20", "")]
    report = scripts(made, "report")[0]
    curve = report.split("--curve 'steps of adaptation' Meta-RFFT ")[1].split(" --")[0].split()
    assert curve[0] == "0@1=RUN/evaluation/pretrain/seed-1"
    assert curve[2] == (
        "20@1=RUN/evaluation/meta/length_int/seed-1-step-20,RUN/evaluation/meta/digit_max_int/seed-1-step-20"
    )
    assert curve[5].startswith("60@2=RUN/evaluation/meta/length_int/seed-2,")


def test_the_report_has_a_line_for_each_arm_and_seed_and_curves_for_ablations(tmp_path):
    report = scripts(chain(tmp_path), "report")[0]
    assert report.count("--run ") == 5 * 2
    assert (
        "--run 'direct answer@2=RUN/evaluation/direct/length_int/seed-2,RUN/evaluation/direct/digit_max_int/seed-2'"
        in report
    )
    assert "--run 'one-shot Meta-RFFT@1=RUN/evaluation/pretrain-one-shot/seed-1'" in report
    assert "--curve rules Meta-RFFT 1@1=RUN/evaluation/rules-1/length_int/seed-1," in report
    one = scripts(chain(tmp_path, seeds=[7]), "report")[0]
    assert "--run Meta-RFFT=RUN/evaluation/meta/length_int/seed-7," in one


def test_an_ablation_of_one_seed_is_trained_asked_and_shown_with_that_seed_alone(tmp_path):
    arms = values(tmp_path)["arms"]
    arms["rules-1"] |= {"seeds": [2]}
    arms["one-shot"] = {"seeds": [1]}
    made = chain(tmp_path, arms=arms)
    wanted = names(made)
    assert [name for name in wanted["pretrain"] if "-" in name.split("/")[0]] == [
        "pretrain-one-shot/seed-1",
        "pretrain-rules-1/seed-2",
    ]
    assert [name for name in wanted["adapt"] if "rules-1" in name] == [f"rules-1/{task}/seed-2" for task in TARGETS]
    assert [name for name in wanted["evaluate"] if "one-shot" in name] == ["pretrain-one-shot/seed-1"]
    report = scripts(made, "report")[0]
    assert [f" {point}=" in report for point in ("1@1", "1@2", "3@1", "3@2")] == [False, True, True, True]
    assert [f"one-shot Meta-RFFT@{seed}=" in report for seed in (1, 2)] == [True, False]


def test_one_arm_alone_needs_no_more_than_its_own(tmp_path):
    wanted = names(chain(tmp_path, only=["one-shot"]))
    assert wanted["pretrain"] == ["pretrain-one-shot/seed-1", "pretrain-one-shot/seed-2"]
    assert wanted["tokenize"] == ["pretrain-one-shot 1 of 2", "pretrain-one-shot 2 of 2"]
    assert wanted["adapt"] == wanted["data"] == []
    assert wanted["evaluate"] == wanted["convert"] == wanted["pretrain"]
    vanilla = names(chain(tmp_path, only=["vanilla"], until="adapt"))
    assert vanilla["pretrain"] == vanilla["evaluate"] == vanilla["report"] == []
    assert vanilla["adapt"] == [f"vanilla/{task}/seed-{seed}" for seed in (1, 2) for task in TARGETS]
    assert vanilla["data"] == [f"adapt/{task}" for task in TARGETS]


def touch(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def test_what_only_done_tasks_need_is_not_made_again(tmp_path):
    run = tmp_path / "run"
    for seed in (1, 2):
        touch(run / f"evaluation/pretrain/seed-{seed}/results.json")
    made = chain(tmp_path, only=["zero-shot"])
    assert {name for name, tasks in names(made).items() if tasks} == {"report"}
    script = made.stage("report").scripts.popitem()
    script[0].parent.mkdir(parents=True)
    script[0].write_text(script[1])
    touch(run / "report/report.html")
    assert not any(names(made).values())
    touch(run / "evaluation/direct/length_int/seed-1/results.json")  # the arm's others are not there yet
    assert not any(names(chain(tmp_path, only=["zero-shot"])).values())
    for task in TARGETS:
        for seed in (1, 2):
            touch(run / f"evaluation/direct/{task}/seed-{seed}/results.json")
    other = chain(tmp_path, only=["zero-shot"])
    assert names(other)["report"] == ["report"]
    assert "direct answer@1=" in scripts(other, "report")[0]


def test_arrays_wait_for_the_runs_that_they_start_from(tmp_path):
    file = write(tmp_path, values(tmp_path / "run"))
    stages = submit_chain(Chain(load_chain(file)), file, dry_run=True)
    jobs = [line for stage in stages for line in stage.text.splitlines() if "sbatch" in line]
    adapt = {}
    for line in (line for line in jobs if "rfft-adapt" in line):
        adapt[line.split("--array=")[1].split()[0]] = line.split("afterok:")[1].split("'")[0]
    # Of each seed: direct and vanilla start from scratch, meta and rules-1 from a run of that seed.
    assert adapt == {
        "0,1,2,3,8,9,10,11": "<data>",
        "4,5": "<data>:<pretrain>_0",
        "6,7": "<data>:<pretrain>_4",
        "12,13": "<data>:<pretrain>_1",
        "14,15": "<data>:<pretrain>_5",
    }
    assert sum("rfft-convert" in line and "aftercorr:<adapt-" in line for line in jobs) == len(adapt)


def test_a_lines_words_are_quoted(tmp_path):
    made = chain(tmp_path, pretrain={"config": MODEL}, arms={"meta": {"checkpoints": [20]}}, report={})
    ((file, text),) = made.stage("adapt").files.items()
    assert file.name == "adapt.options"
    assert "--checkpoint.at '[20]'" in text.splitlines()[0]


def test_a_run_of_another_config_is_told_so(tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text((ROOT / MODEL).read_text())
    made = chain(
        tmp_path, pretrain={"config": MODEL}, arms={"vanilla": {"config": str(other)}, "meta": None}, report={}
    )
    ((_, text),) = made.stage("adapt").files.items()
    assert text.splitlines()[0].startswith(f"--config {other} ")
    assert text.splitlines()[2].startswith("--run.output ")


def test_one_run_for_all_targets(tmp_path):
    adapt = {"config": MODEL, "tasks": TARGETS, "together": True, "options": STEPS}
    made = chain(tmp_path, adapt=adapt, seeds=[], arms={"vanilla": None, "meta": None}, report={})
    assert [task.name for task in made.stage("adapt").tasks] == ["vanilla/all", "meta/all"]
    assert "--tasks length_int,digit_max_int" in scripts(made, "data")[-1]
    assert "--tasks length_int,digit_max_int" in scripts(made, "evaluate")[0]


def test_the_chains_own_model_can_be_asked_and_adapted_without_rf_pretraining(tmp_path):
    model = str(ROOT / "examples/models/qwen2.5-7b")
    sections = {"vocabulary": None, "model": model, "pretrain": {}, "seeds": [], "report": {}}
    config = "examples/qwen2.5-7b/adapt.yaml"
    adapt = {"config": config, "tasks": TARGETS}
    arms = {"vanilla": None, "zero-shot": {"start": "base", "form": "cot-zero-shot", "title": "as it is"}}
    made = chain(tmp_path, **sections, adapt=adapt, arms=arms, corpus={"tokenize": ["--chat"]})
    assert [stage.name for stage in made.stages] == ["data", "from-hf", "adapt", "convert", "evaluate", "report"]
    assert option(scripts(made, "adapt")[0], "--checkpoint.load") == "RUN/base"
    asked = scripts(made, "evaluate")[-1]
    assert f"--model {model} " in asked
    assert "--form cot-zero-shot --chat" in asked
    assert names(made)["evaluate"][-1] == "base-cot-zero-shot"


def test_a_file_may_extend_another(tmp_path):
    write(tmp_path, values(tmp_path / "run"))
    short = tmp_path / "short.yaml"
    short.write_text("extends: chain.yaml\nseeds: [5]\nadapt: {tasks: [add_int]}\narms: {meta: {checkpoints: []}}\n")
    config = load_chain(short, run=tmp_path / "elsewhere")
    assert (config.run, config.seeds, config.adapted) == (str(tmp_path / "elsewhere"), [5], ["add_int"])
    assert config.adapt.options == STEPS
    assert list(config.arms) == list(values(tmp_path)["arms"])
    assert (config.arms["meta"].checkpoints, config.arms["meta"].options) == ([], ["--optimizer.lr", "1e-4"])
    short.write_text("extends: short.yaml\n")
    with pytest.raises(UserError, match=r"extends is 'short.yaml'; it must be another file's name"):
        load_chain(short)


def test_the_pages_example_and_those_of_the_examples_are_chains(tmp_path):
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "examples/README.md").read_text(), flags=re.DOTALL)[1]
    file = tmp_path / "chain.yaml"
    file.write_text(block)
    made = Chain(load_chain(file, run=tmp_path / "run"))
    assert list(made.models.arms) == ["direct", "vanilla", "meta"]
    assert len(made.stage("adapt").tasks) == 3 * 2 * 3
    files = [path for path in (ROOT / "examples").glob("*/*.yaml") if "arms:" in path.read_text()]
    assert len(files) >= 6
    for path in files:
        assert Chain(load_chain(path, run=tmp_path / "run")).missing()["report"] == [0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": {"mine": None}}, r"arms.mine.start is not set; it may be base, pretrain, one-shot, rules-1"),
        ({"arms": {"meta": {"start": "rules-2"}}}, r"arms.meta starts from 'rules-2'; it may be base"),
        ({"arms": {"meta": {"form": "lien"}}}, r"arms.meta.form is 'lien'; it must be 'rule', 'lean'"),
        ({"arms": {"meta": {"checkpoints": [80]}}}, r"ends at step 60; there is no checkpoint 80 to measure"),
        ({"arms": {"vanilla": {"checkpoints": [0]}}}, r"arms.vanilla starts from scratch, .* step 0"),
        ({"arms": {"zero-shot": {"start": "base"}}}, r"arms.zero-shot would be asked with random weights"),
        ({"arms": {"a b": {"start": "base"}}}, r"arms: 'a b' becomes a folder's name"),
        ({"arms": {"pretrain": {"start": "base"}}}, r"arms: 'pretrain' has a meaning of its own"),
        ({"arms": {"meta": {"title": "a=b"}}}, r"arms.meta.title is 'a=b'"),
        (
            {"arms": {"meta": None, "b": {"start": "base", "title": "Meta-RFFT"}}, "report": {}},
            r"give each arm a title of its own",
        ),
        ({"arms": {"meta": {"plotted": False}}, "report": {}}, r"the report would show nothing"),
        ({"arms": {"meta": {"setps": 1}}}, r"unknown key arms.meta.setps"),
        ({"pretrain": {}}, r"pretrain.config is not set|arms.meta starts from 'pretrain'"),
        ({"pretrain": {}, "adapt": {}}, r"neither pretrain.config nor adapt.config is set"),
        ({"tokenizer": "a.model"}, r"vocabulary is set beside tokenizer"),
        ({"vocabulary": None}, r"neither model, tokenizer nor vocabulary is set"),
        ({"vocabulary": {"size": 0}}, r"vocabulary.size is 0"),
        (
            {"arms": {"meta": {"seeds": [1, 3]}}},
            r"arms.meta.seeds is \[1, 3\]; name some of .* seeds, \[1, 2\]",
        ),
        ({"arms": {"meta": {"seeds": []}}}, r"arms.meta.seeds is \[\]"),
        ({"seeds": [1, 1]}, r"seeds \[1, 1\] has one twice"),
        ({"report": {"curves": {"rules": {"line": {"4": "rules-4"}}}}}, r"report.curves: 'rules' has arm 'rules-4'"),
        ({"local": {"stages": {"train": 2}}}, r"unknown key local.stages.train; it must be 'generate'"),
        ({"local": {"stages": {"adapt": 0}}}, r"local.stages.adapt is 0"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        chain(tmp_path, **({"report": {}} | changes))


def test_a_wrong_selection_is_named(tmp_path):
    with pytest.raises(UserError, match=r"there is no arm 'met'; arms are direct, vanilla"):
        chain(tmp_path, only=["met"])
    with pytest.raises(UserError, match=r"there is no stage 'train'"):
        chain(tmp_path, until="train")
