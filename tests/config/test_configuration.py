import inspect
import re
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf, open_dict

from recsys_lab.config.configuration import (
    ConfigurationError,
    check_configuration,
    register_resolvers,
)
from recsys_lab.config.overrides import compose_jobs
from tests.run_cases import EVENT_PRESETS, ROOT

CONF = ROOT / "conf"
GROUPS = sorted(
    str(folder.relative_to(CONF)) for folder in CONF.rglob("*") if any(folder.glob("*.yaml"))
)
CHOICES = [
    f"{group}={path.stem}" for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))
]


def configuration(*overrides: str) -> DictConfig:
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def complaint_about(arguments: list[str], folder: Path) -> str | None:
    """What is said of a command line that cannot be composed."""
    register_resolvers()
    try:
        compose_jobs(arguments, folder)
    except ConfigurationError as error:
        return str(error)
    return None


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes_and_binds(choice: str) -> None:
    group, name = choice.split("=")
    catalogs = {("catalog", name): "catalog.path" for name in ("amazon", "edges", "events")}
    sources = dict.fromkeys(("sequence_file", "stored_walks"), "data.source.path")
    files = catalogs | {("data/source", name): key for name, key in sources.items()}
    files |= {("experiment", name): "catalog.path" for name in EVENT_PRESETS}
    files |= {("model", "external"): "vectors"}
    needed = [f"{files[group, name]}=somewhere.npy"] if (group, name) in files else []
    check_configuration(configuration(choice, *needed))


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda p: str(p.name))
def test_every_target_exists_and_takes_what_is_set(path: Path) -> None:
    node = yaml.safe_load(path.read_text())
    found = [n for n in (node, *node.values()) if isinstance(n, dict) and "_target_" in n]
    for section in found:
        parameters = inspect.signature(get_object(section["_target_"])).parameters
        assert {str(k) for k in section} - {"_target_", "defaults"} <= set(parameters)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.embedding_dim=abc", "model.embedding_dim must be an integer, got 'abc'"),
        ("model.embedding_dim=1.5", "model.embedding_dim must be an integer, got 1.5"),
        ("seed=true", "seed must be an integer, got True"),
        ("optimizer.lr=abc", "optimizer.lr must be a finite number, got 'abc'"),
        ("model.score=euclid", "must be cosine or dot or center_context, got 'euclid'"),
        ("split.negatives=[popular]", "split.negatives must be a list"),
        ("train=1", "train must be true or false, got 1"),
        ("ckpt_path=3", "ckpt_path must be text or null, got 3"),
        ("catalog=amazon", "catalog.path is needed"),
        ("seed=-1", "seed must be >= 0 and <= 4294967295, got -1"),
        ("trainer.devices=2", "trainer.devices=2 is of several processes"),
        ("+trainer.num_nodes=2", "trainer.num_nodes=2 is of several processes"),
        ("~seed", "seed is needed at the top level"),
        ("~trainer.accelerator", "trainer.accelerator is needed"),
        ("+foo=1", "unknown key 'foo'"),
        ("+model.depth=2", "unknown key 'model.depth'.*embedding_dim"),
        ("+data.seed=2", "unknown key 'data.seed'"),
        ("~model.score", "model.score is needed"),
        ("~data.source", "data.source must be a section"),
        ("model=skipgram_side_info model.fields=[]", "model.fields must be a list of 1 or more"),
        ("model._target_=os.system", "model._target_ must be one of this project's"),
        ("schedule.final=nan", "schedule.final must be a finite number, got nan"),
        ("model.l2=inf", "model.l2 must be a finite number"),
        (
            "catalog.relation_weights.also_bought=much",
            "relation_weights.also_bought must be 0 or a fin",
        ),
    ],
)
def test_wrong_values_are_named(override: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_configuration(configuration(*override.split()))


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("+trainer.profiler._target_=torch.load", "trainer.profiler._target_"),
        ("+trainer.profiler={_target_: shutil.copy, src: a, dst: b}", "trainer.profiler._target_"),
        ("+trainer.strategy={deep: [{_target_: os.system}]}", "trainer.strategy.deep.0._target_"),
        ("model._target_=recsys_lab.results.files.os.system", "model._target_"),
        ("optimizer._target_=torch.optim.lr_scheduler.LRScheduler", "optimizer._target_"),
        ("optimizer._target_=torch.optim.Optimizer.load_state_dict", "optimizer._target_"),
        ("model._target_=recsys_lab.models.builders._popularity", "model._target_"),
        ("model._target_=recsys_lab.models.builders.SkipGram", "model._target_"),
        ("model._target_=recsys_lab.models.builders.", "model._target_"),
        ("catalog._target_=recsys_lab.results.files.write_text", "catalog._target_"),
        ("+catalog.relation_weights={_target_: os.getcwd}", "catalog.relation_weights._target_"),
        ("+trainer.profiler='${oc.create:{_target_: torch.load}}'", "trainer.profiler._target_"),
        ("trainer.max_epochs={_target_: 3}", "trainer.max_epochs._target_"),
    ],
)
def test_a_target_at_any_depth_is_one_of_the_allowed_objects(override: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(key)} must be one of"):
        check_configuration(configuration(override))


def test_optimisers_and_profilers_of_the_libraries_are_allowed() -> None:
    profiler = "+trainer.profiler._target_=pytorch_lightning.profilers.SimpleProfiler"
    check_configuration(configuration("optimizer._target_=torch.optim.Adagrad", "~optimizer.eps",
                                      profiler))  # fmt: skip


@pytest.mark.parametrize("section", ["curve", "evaluation"])
def test_a_section_is_no_choice(section: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{section} must be a section"):
        check_configuration(configuration(f"{section}=bogus"))


def test_a_reference_to_nothing_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"model\.embedding_dim.*data\.nothing"):
        check_configuration(configuration("model.embedding_dim=${data.nothing}"))


def test_an_integer_is_a_number() -> None:
    check_configuration(configuration("optimizer.lr=1", "ckpt_path=a.ckpt", "num_threads=2"))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["modle=skipgram"], ["unknown key 'modle'", "catalog, ", "did you mean model?"]),
        (["model=skipgam"], ["no choice 'skipgam'", "did you mean skipgram?"]),
        (["model.embeding_dim=3"], ["in model there are", "did you mean embedding_dim?"]),
        (
            ["catalog.relation_weights.also_baught=1"],
            ["in catalog.relation_weights", "also_bought"],
        ),
        (
            ["data=pairs", "data.window=3"],
            ["in data there are", "; window belongs to data=relations or data=sequences"],
        ),
        (["data=pairs", "data.source.p=2"], ["; p belongs to data=relations or data=sequences"]),
        (["model.pooling=mean"], ["; pooling belongs to model=skipgram_side_info"]),
        (["model=MF"], ["no choice 'MF'", "(did you mean mf?)"]),
        (["optimizer.learning_rate=1"], ["there are eps, lr (did you mean lr?)"]),
        (["evaluation.ks=5,20"], ["several values: for a list write 'evaluation.ks=[5,20]'"]),
        (
            ["hydra.sweeper.n_trials=3"],
            ["unknown key", "; hydra.sweeper.n_trials belongs to a search: add hparams_search="],
        ),
        (["-m", "seed=0,1", "hydra.sweeper.n_trails=3"], ["; hydra.sweeper.n_trials belongs to"]),
        (
            ["hparams_search=optuna", "hydra.sweeper.n_trails=3"],
            ["there are n_jobs, n_trials, params, pruning, seed (did you mean n_trials?)"],
        ),
        (["-m", "model=skipgram,skipgam"], ["no choice 'skipgam'"]),
        (["-m", "seed=0,1", "data=pears"], ["no choice 'pears'", "pairs, relations, sequences"]),
        (["-m", "model.embedding_dim=8,16", "model.score=dot", "model.sc=1"], ["'model.sc'"]),
        (["-m", "optimizer.lr=0.1", "model.embedding_dim=8,16", "seed.x=1,2"], ["seed.x=1"]),
        (
            ["-m", "experiment=skipgram_side_info,skipgram", "model.fields=[brand]"],
            ["unknown key 'model.fields'", "in model there are", "(with experiment=skipgram)"],
        ),
        (
            ["-m", "experiment=glob(mf_*)", "model.fields=[brand]"],
            ["with experiment=mf_bias_pairs"],
        ),
        (["experiment=skipgram_tunned"], ["no choice 'skipgram_tunned'", "mean skipgram_tuned?"]),
        (["-m", "experiment=skipgram,nothing", "seed=0,1"], ["no choice 'nothing'", "cold_start"]),
        (["-m", "experiment=glob(mfx*)"], ["experiment has no choice 'mfx*'", "mf_pairs"]),
        (["--config", "job", "seed=1"], ["ambiguous option: --config could match --config-p"]),
        (["-c", "jobs"], ["--cfg/-c: invalid choice: 'jobs'", "'job'", "--hydra-help"]),
        (["seed=1", "--multrun"], ["there is no option --multrun (did you mean --multirun?)"]),
        (["--config-path", "nowhere"], ["--config-path: there is no folder nowhere"]),
        (["--experimental-rerun", "config.pickle"], ["a pickle", "resume=FOLDER"]),
        (["-cn", "nothing"], ["Cannot find primary config 'nothing'"]),
        (["-cn", "config", "modle=mf"], ["unknown key 'modle'"]),
        (["experiment=glob(mfx*)"], ["experiment has no choice 'mfx*'", "mf_pairs"]),
        (["experiment=glob(mf*)"], ["gives several values: for a sweep add -m"]),
        (["logger=[csv,tensorbord]"], ["no choice 'tensorbord'", "did you mean tensorboard?"]),
        (["model=null"], ["model has no choice 'null'", "skipgram"]),
        (["--config-dir", "nowhere"], ["--config-dir: there is no folder nowhere"]),
        (["--cfg", "job", "nonsense=1"], ["unknown key 'nonsense'"]),
        (
            ["data=pairs", "data/source=walks"],
            ["cannot use data/source=walks: Could not override 'data/source'"],
        ),
        (["data/source=walk"], ["data/source has no choice 'walk'", "did you mean walks?"]),
        (["data.walk_length=5"], ["in data there are", "did you mean data.source.walk_length?"]),
        (["embedding_dim=5"], ["unknown key 'embedding_dim'", "mean model.embedding_dim?"]),
        (["seed.x=1"], ["cannot use 'seed.x=1'"]),
        (["data.num_negatives=[1"], ["cannot read 'data.num_negatives=[1' on the command line"]),
        (["seed"], ["cannot read 'seed'", "KEY=VALUE"]),
        (["=5"], ["cannot read '=5'", "no key"]),
        (["monitor=a=b c"], ["cannot read 'monitor=a=b c'", "'monitor=\"a=b c\"'"]),
        (["-m", "model=glob([mfx*,skip*])"], ["model has no choice 'mfx*'"]),
        (["-m", "model=glob(*,exclude=skipgrm*)"], ["model has no choice 'skipgrm*'"]),
        (["-m", "model=glob(mf,exclude=m*)"], ["model=glob(mf,exclude=m*) gives no value"]),
        (["-m", "seed=glob(*)"], ["cannot use seed=glob(*): a pattern is for the choices"]),
        (["-m", "seed=range(3,0)"], ["seed=range(3,0) gives no value"]),
        (["optimizer.lr=interval(0,1)"], ["is for a search: add hparams_search=optuna"]),
        (["model=[mf,skipgram]"], ["model takes one choice", "-m model=mf,skipgram"]),
        (["data/source=[walks]"], ["data/source takes one choice"]),
        (["model=mf.yaml"], ["model has no choice 'mf.yaml'"]),
        (["model=../model/mf"], ["model has no choice '../model/mf'"]),
        (["+model=mf"], ["cannot use +model=mf: leave the plus out"]),
        (["++logger=csv"], ["cannot use ++logger=csv: leave the plus out"]),
        (["~hydra"], ["cannot use ~hydra: Could not delete"]),
        (["callbacks.early_stopping.patience=2"], ["add callbacks=early_stopping"]),
        (["logger.wandb.offline=true"], ["is not chosen: add logger=[tensorboard,wandb]"]),
        (["schedule=constant", "schedule.final=0"], ["in schedule there are none"]),
        (["trainer.gradient_clip_va=1"], ["precision", "(did you mean gradient_clip_val?)"]),
        (["hydra/launcher=bogus"], ["hydra/launcher has no choice 'bogus'"]),
        (["hydra.verbos=true"], ["unknown key 'hydra.verbos'", "did you mean verbose?"]),
        (["hydra.mode=bogus"], ["cannot use hydra.mode=bogus", "RUN"]),
        (["-m", "+hydra.sweeper.params.seed='1,2'"], ["cannot use +hydra.sweeper.params.seed="]),
        (["-m", "hydra.run.dir=x"], ["hydra.run.dir=x has no effect on a sweep"]),
        (["hydra.sweep.dir=x"], ["has no effect on a single run: take hydra.run.dir=x"]),
        (["hydra.run.dir="], ["hydra.run.dir must name a folder"]),
        (["hydra.searchpath=[file:///nowhere]"], ["there is no folder file:///nowhere"]),
        (["hydra.searchpath=[pkg://no.where]"], ["there is no package pkg://no.where"]),
        (["hydra.searchpath=/tmp"], ["hydra.searchpath must be a list"]),
        (["-cp", str(ROOT), "model=mf"], ["Cannot find primary config 'config'"]),
    ],
)
def test_overrides_that_cannot_be_composed_are_explained(arguments: list, parts: list) -> None:
    complaint = complaint_about(arguments, CONF)
    assert complaint is not None
    assert "\n" not in complaint
    for part in parts:
        assert part in complaint


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["seed=1", "model.embedding_dim=64", "catalog=amazon", "catalog.path=x y.gz"],
        ["catalog.path=x", "catalog=edges"],
        ["-m", "seed=0,1,2", "data=pairs,sequences", "optimizer.lr=range(1,3)"],
        ["--multirun", "optimizer.lr=0.1,0.2"],
        ["-m", "experiment=glob(skipgram_side*)", "model.fields=[brand]", "seed=0,1"],
        ["-m", "model=skipgram_side_info,skipgram_side_info", "model.pooling=mean,attention"],
        ["-m", "experiment=glob(*,exclude=[airbnb,events_*])", "catalog.num_items=500"],
        ["hydra.run.dir=somewhere", "+catalog.extra=1"],
        ["--help"],
        ["--cfg", "job", "seed=1"],
        ["seed=0,1", "-m", "data=pairs"],
        ["seed=1", "-c", "job", "-p", "model", "data=pairs"],
        ["-cn", "config", "-cp", str(CONF), "seed=1"],
        ["--resolve"],
        ["trainer.profiler=simple"],
        ["+trainer.profiler=simple"],
        ["-m", "trainer.precision=32-true,bf16-mixed"],
        ["logger=null", "callbacks=null", "debug=null", "experiment=null", "hparams_search=null"],
        ["logger=[null]"],
        ["-m", "experiment=null,mf_pairs", "logger=[csv,tensorboard]"],
    ],
)
def test_overrides_that_hydra_takes_pass(arguments: list) -> None:
    assert complaint_about(arguments, CONF) is None


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A configuration folder outside the project, with one preset and one model."""
    preset = "# @package _global_\ndefaults:\n  - override /model: mine\nseed: 7\n"
    model = "defaults: [/model/skipgram]\n"
    for name, text in (("experiment/mine", preset), ("model/mine", model), ("model/a/b", model)):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize("multirun", [[], ["-m"]])
@pytest.mark.parametrize("by", ["--config-dir", "hydra.searchpath"])
def test_a_folder_of_ones_own_is_part_of_the_tree(
    own_folder: Path, by: str, multirun: list
) -> None:
    where = (
        ["--config-dir", str(own_folder)]
        if by == "--config-dir"
        else [f"hydra.searchpath=[file://{own_folder}]"]
    )
    assert complaint_about([*multirun, *where, "experiment=mine", "seed=3"], CONF) is None
    for group in GROUPS:
        complaint = complaint_about([*multirun, *where, f"{group}=no_such_choice"], CONF)
        assert complaint is not None
        ours = f"{group} has no choice 'no_such_choice'; choose from "
        assert ours in complaint or (group.startswith("hydra/") and group in complaint)
        if group.startswith("hydra/"):
            continue
        assert ("mine" in complaint.split("choose from ")[1]) == (group in ("experiment", "model"))


def test_a_choice_of_an_inner_folder_is_one(own_folder: Path) -> None:
    where = ["--config-dir", str(own_folder)]
    assert complaint_about([*where, "model=a/b"], CONF) is None
    complaint = complaint_about([*where, "model=a/c"], CONF)
    assert complaint == "model has no choice 'a/c'; choose from a/b (did you mean a/b?)"


@pytest.mark.parametrize(
    ("preset", "reason"),
    [
        (
            "# @package _global_\ndefaults:\n  - override /model: skipgram_tid\n",
            "model/skipgram_tid",
        ),
        ("defaults:\n  - override /model: mf\n", "# @package _global_"),
        ("# mine\n# @package _global_\ndefaults:\n  - override /model: mf\n", "@package"),
        ("# @package _global_\nplugins: [my_package\n", "line 3"),
    ],
)
def test_a_mistake_inside_a_preset_is_answered(tmp_path: Path, preset: str, reason: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(preset)
    complaint = complaint_about(["--config-dir", str(tmp_path), "experiment=mine"], CONF)
    assert complaint is not None
    assert complaint.startswith("cannot use experiment=mine: ")
    assert reason in complaint
    assert "\n" not in complaint


@pytest.mark.parametrize("multirun", [[], ["-m"]])
@pytest.mark.parametrize("word", ["no_such_choice", "glob(no_such*)"])
def test_every_group_refuses_a_choice_that_does_not_exist(word: str, multirun: list) -> None:
    shown = re.sub(r"glob\((.*)\)", r"\1", word)
    for group in [*GROUPS, "hydra/launcher"]:
        complaint = complaint_about([*multirun, f"{group}={word}"], CONF)
        assert complaint is not None, group
        ours = f"{group} has no choice '{shown}'; choose from "
        assert ours in complaint or (group.startswith("hydra/") and group in complaint)


def test_a_preset_without_its_package_is_told(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("model: {embedding_dim: 16}\n")
    jobs = compose_jobs(["--config-dir", str(tmp_path), "experiment=mine"], CONF)
    assert jobs is not None
    [(_, cfg)] = jobs
    with pytest.raises(ConfigurationError, match="needs the first line: # @package _global_"):
        check_configuration(cfg)


def test_checks_do_not_change_the_configuration() -> None:
    cfg = configuration()
    before = OmegaConf.to_yaml(cfg)
    check_configuration(cfg)
    assert OmegaConf.to_yaml(cfg) == before
    with open_dict(cfg):
        cfg.extra = 1
    with pytest.raises(ConfigurationError):
        check_configuration(cfg)
