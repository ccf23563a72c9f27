"""The benchmark's table."""

from typing import Any

#: Part, what a figure is, key of each side, unit; goals are those of the project.
_GOALS = {
    "train_stereo": (10.0, "≥ 10×"),
    "train_table": (20.0, "≥ 20×"),
    "predict": (50.0, "≥ 50×"),
    "featurise": (10.0, "≥ 10×"),
    "featurise_cached": (100.0, "≥ 100×"),
}
_TITLES = {
    "train_stereo": "training, batch 1, stereo set (pm model)",
    "train_table": "training, batch 1, property table",
    "predict": "ensemble prediction, 10 members",
    "featurise": "featurisation, cold",
    "featurise_cached": "featurisation, from our cache",
}
_WAYS = {
    "two_threads": "one process, two threads",
    "two_processes": "two processes, one thread each",
    "default": "one process, as it comes",
}


def table(found: dict[str, float], raw: dict[str, Any]) -> str:
    """Lines for a terminal."""
    lines = [f"{'':42} {'theirs':>14} {'ours':>14} {'ratio':>8}  goal"]
    for key, title in _TITLES.items():
        if key not in found:
            continue
        theirs, ours = _sides(key, raw)
        goal, text = _GOALS[key]
        met = "met" if found[key] >= goal else "missed"
        lines.append(f"{title:42} {theirs:>14} {ours:>14} {found[key]:7.1f}×  {text} {met}")
    for key, title, goal in (
        ("compile_cold_s", "first update with compilation, cold", 20.0),
        ("compile_cached_s", "the same from the persistent cache", 3.0),
    ):
        if key in found:
            met = "met" if found[key] <= goal else "missed"
            lines.append(f"{title:42} {'':>14} {found[key]:>12.1f} s {'':8}  ≤ {goal:g} s {met}")
    for name in ("train_stereo", "train_table"):
        if name in raw:
            lines += ["", f"{_TITLES[name]}:"]
            for way, figures in raw[name].items():
                if isinstance(figures, dict):
                    side, _, kind = way.partition("_")
                    spread = f"{min(figures['all_ms']):.1f}–{max(figures['all_ms']):.1f}"
                    lines.append(
                        f"  {side:7} {_WAYS[kind]:32} {figures['ms_per_update']:8.1f} ms/update "
                        f"({spread}) {figures['peak_mb']:6.0f} MB"
                    )
    for name in ("predict", "featurise"):
        if name in raw:
            memory = {side: raw[name][f"{side}_peak_mb"] for side in ("theirs", "ours")}
            lines.append(
                f"peak memory, {name}: theirs {memory['theirs']} MB, ours {memory['ours']} MB"
            )
    if "featurise" in raw:
        lines.append(
            f"featurisation, ours on one core: {raw['featurise']['ours_one_core_per_s']:.1f} /s"
        )
    for name, figures in raw.get("peers", {}).items():
        lines.append(f"{name}: {figures if isinstance(figures, str) else _peer(figures)}")
    return "\n".join(lines)


def _peer(figures: dict[str, float]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value:.1f}" for key, value in figures.items())


def _sides(key: str, raw: dict[str, Any]) -> tuple[str, str]:
    if key.startswith("train"):
        ways = {k: v for k, v in raw[key].items() if isinstance(v, dict)}
        best = {
            side: min(v["ms_per_update"] for k, v in ways.items() if k.startswith(side))
            for side in ("theirs", "ours")
        }
        return f"{best['theirs']:.1f} ms", f"{best['ours']:.1f} ms"
    part = raw["predict" if key == "predict" else "featurise"]
    ours = part["ours_cached_per_s" if key == "featurise_cached" else "ours_per_s"]
    return f"{part['theirs_per_s']:.2f} /s", f"{ours:.1f} /s"
