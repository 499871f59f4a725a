#!/usr/bin/env python3
"""Tables, plots and summary of what results/paper/run.sh left in a folder: tables.py FOLDER."""
import csv
import json
import re
import sys
from pathlib import Path

import h5py
import matplotlib
import numpy as np

matplotlib.use("Agg")
matplotlib.rcParams.update({"svg.hashsalt": "temblor", "svg.fonttype": "none", "font.size": 9})
import matplotlib.pyplot as plt  # noqa: E402

# Two-sided 95 % quantiles of Student's t by degrees of freedom.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
BOUNDS_SHOWN = {"norm-product": "C3", "norm-vector": "C1", "interval": "C2", "linear": "C0", "linear-alpha": "C4", "exact": "C7"}


def t_interval(values):
    """Mean and 95 % t-interval over seeds."""
    values = np.asarray(values, float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = STUDENT[len(values) - 1] * float(values.std(ddof=1)) / len(values) ** 0.5
    return mean, mean - half, mean + half


def text(cell):
    return cell.decode() if isinstance(cell, bytes) else cell


def read_gap(path):
    """Errors of the natural (eps = 0) and the attacked network, by eps, and what the theory says."""
    with h5py.File(path) as f:
        kind = [text(k) for k in f["gap/perturbation"][:]]
        rows = [i for i, k in enumerate(kind) if k in ("none", "one for all")]
        gap = {k: f["gap/" + k][:][rows] for k in ("eps", "train_error", "test_error", "train_loss", "test_loss")}
        fixed = [text(c) for c in f["bound/class"][:]].index("fixed")
        any_class = [text(c) for c in f["bound/class"][:]].index("any")
        return gap | {
            "complexity": float(f["bound/complexity"][fixed]),
            "value": float(f["bound/value"][any_class]),
            "spectral": float(np.prod(f["layers/spectral"][:])),
            "row": float(np.prod(f["layers/row"][:])),
            "version": text(f["provenance/version"][0]),
        }


def read_bounds(path):
    """By eps: mean drop of the attack, and for each bound mean limit, median of drop / limit, violations."""
    with h5py.File(path) as f:
        eps = f["points/severity"][:]
        labels = f["samples/label"][:]
        logits = f["samples/golden_logits"][0].astype(float)
        images = np.arange(len(labels))
        pair = logits[images, labels][:, None] - logits
        pair[images, labels] = np.inf
        margin = pair.min(axis=1)
        drop = f["margins/worst_drop"][:]
        result = {"eps": eps, "drop": drop.mean(axis=1), "robust": ((margin - drop) > 0).mean(axis=1), "bound": {}}
        for name, group in f["bounds"].items():
            if "value" not in group:
                continue
            total = group["value"][:] + (group["arithmetic"][:] if "arithmetic" in group else 0)
            limit = margin - (pair - total).min(axis=2)
            with np.errstate(invalid="ignore"):
                result["bound"][name] = {
                    "limit": limit.mean(axis=1),
                    "tightness": np.median(drop / limit, axis=1),
                    "certified": ((margin - limit) > 0).mean(axis=1),
                    "violated": (drop > limit).sum(axis=1),
                }
        return result


def read_relative(path):
    """Accuracy under one perturbation for all images, each weight moved by at most r times its size."""
    with h5py.File(path) as f:
        images = len(f["samples/label"])
        first = f["points/first_trial"][:]
        golden = float((f["samples/golden_prediction"][0] == f["samples/label"][:]).mean())
        return {"r": np.r_[0, f["points/severity"][:]], "accuracy": np.r_[golden, f["trials/correct"][:][first] / images]}


def collect(folder):
    networks = []
    for place in sorted(folder.glob("*/lambda*-mu*-seed*")):
        match = re.fullmatch(r"lambda(.*)-mu(.*)-seed(\d+)", place.name)
        if not (place / "gap.h5").exists():
            continue
        networks.append({
            "dataset": place.parent.name,
            "lambda": float(match[1]),
            "mu": float(match[2]),
            "seed": int(match[3]),
            "gap": read_gap(place / "gap.h5"),
            "bounds": read_bounds(place / "bounds.h5") if (place / "bounds.h5").exists() else None,
            "relative": read_relative(place / "relative.h5") if (place / "relative.h5").exists() else None,
        })
    if not networks:
        sys.exit(f"tables.py: no gap.h5 below {folder}: run the parts train and attack first")
    return sorted(networks, key=lambda n: (n["dataset"], n["lambda"], n["mu"], n["seed"]))


def area_under(x, accuracy):
    """By the trapezoid rule, as a share of the largest possible."""
    return float(((accuracy[1:] + accuracy[:-1]) / 2 * np.diff(x)).sum() / x[-1])


def area(network):
    return area_under(network["gap"]["eps"], 1 - network["gap"]["test_error"])


def relative_area(network):
    return area_under(network["relative"]["r"], network["relative"]["accuracy"])


def gaps(network):
    return network["gap"]["test_error"] - network["gap"]["train_error"]


class Grid:
    """Networks of one dataset by (lambda, mu), seeds in the same order everywhere."""

    def __init__(self, dataset, networks):
        self.dataset = dataset
        self.cells = {}
        for n in networks:
            if n["dataset"] == dataset:
                self.cells.setdefault((n["lambda"], n["mu"]), []).append(n)
        self.lambdas = sorted({c[0] for c in self.cells})
        self.mus = sorted({c[1] for c in self.cells})

    def values(self, cell, measure):
        return {n["seed"]: measure(n) for n in self.cells[cell]}

    def difference(self, cell, base, measure):
        """Paired by seed: the same initial weights and the same order of images."""
        a, b = self.values(cell, measure), self.values(base, measure)
        return [a[s] - b[s] for s in sorted(a.keys() & b.keys())]


def write(path, header, rows):
    with open(path, "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header)
        out.writerows([[f"{c:.6g}" if isinstance(c, float) else c for c in row] for row in rows])


def curves(grids, path, measure, label):
    rows = []
    for grid in grids:
        for (lam, mu), networks in grid.cells.items():
            eps = networks[0]["gap"]["eps"]
            values = np.array([measure(n) for n in networks])
            for i, e in enumerate(eps):
                mean, low, high = t_interval(values[:, i])
                rows.append([grid.dataset, lam, mu, float(e), len(networks), mean, low, high,
                             float(values[:, i].min()), float(values[:, i].max())])
    write(path, ["dataset", "lambda", "mu", "eps", "seeds", label, "t95_lower", "t95_upper", "least", "most"], rows)


def claims(grids):
    """Each claim as paired differences with a 95 % t-interval over seeds."""
    found = []

    def add(grid, claim, cell, base, what, measure, better):
        differences = grid.difference(cell, base, measure)
        mean, low, high = t_interval(differences)
        sign = 1 if better == "larger" else -1
        ends = sorted([sign * low, sign * high])
        verdict = "holds" if ends[0] > 0 else "fails" if ends[1] < 0 else "open"
        found.append({"dataset": grid.dataset, "claim": claim, "lambda": cell[0], "mu": cell[1],
                      "against_lambda": base[0], "against_mu": base[1], "measure": what,
                      "difference": mean, "t95_lower": low, "t95_upper": high, "least": min(differences),
                      "most": max(differences), "verdict": verdict})

    for grid in grids:
        plain = (0.0, 0.0)
        gap, robust = ("gap without attack", lambda n: float(gaps(n)[0])), ("area", area)
        attacked = ("mean gap under attack", lambda n: float(gaps(n)[1:].mean()))
        for lam in grid.lambdas[1:]:
            add(grid, "lambda: more robust accuracy", (lam, 0.0), plain, *robust, "larger")
        for mu in grid.mus[1:]:
            add(grid, "mu: smaller gap", (0.0, mu), plain, *gap, "smaller")
            add(grid, "mu: smaller gap", (0.0, mu), plain, *attacked, "smaller")
        for lam in grid.lambdas[1:]:
            for mu in grid.mus[1:]:
                add(grid, "both: more robust than lambda alone", (lam, mu), (lam, 0.0), *robust, "larger")
                add(grid, "both: more robust than mu alone", (lam, mu), (0.0, mu), *robust, "larger")
                add(grid, "both: smaller gap than lambda alone", (lam, mu), (lam, 0.0), *gap, "smaller")
                add(grid, "both: smaller gap than mu alone", (lam, mu), (0.0, mu), *gap, "smaller")
        # not claimed, but needed to judge the claims
        for mu in grid.mus[1:]:
            add(grid, "beside: mu alone and robust accuracy", (0.0, mu), plain, *robust, "larger")
        if all(n["relative"] for networks in grid.cells.values() for n in networks):
            # the same change relative to a weight's size: shrinking all weights alike changes nothing
            for cell in grid.cells:
                if cell != plain and (cell[0] == 0 or cell[1] == 0):
                    add(grid, "beside: one of them, relative perturbation", cell, plain, "area over r", relative_area,
                        "larger")
                elif cell != plain:
                    add(grid, "beside: both against lambda alone, relative perturbation", cell, (cell[0], 0.0),
                        "area over r", relative_area, "larger")
        for lam in grid.lambdas[1:]:
            add(grid, "beside: lambda alone and the gap", (lam, 0.0), plain, *gap, "smaller")
            add(grid, "beside: lambda alone and natural accuracy", (lam, 0.0), plain, "natural accuracy",
                lambda n: float(1 - n["gap"]["test_error"][0]), "larger")
    return found


def ranks(values):
    order = np.argsort(values, kind="stable")
    result = np.empty(len(values))
    result[order] = np.arange(len(values))
    return result


def rank_correlation(x, y):
    """Spearman's; there are no ties among reals of different networks."""
    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])


def tightness_rows(grids):
    rows = []
    for grid in grids:
        for (lam, mu), networks in grid.cells.items():
            done = [n["bounds"] for n in networks if n["bounds"]]
            if not done:
                continue
            for i, e in enumerate(done[0]["eps"]):
                for name in done[0]["bound"]:
                    row = [float(np.mean([d["bound"][name][k][i] for d in done]))
                           for k in ("limit", "tightness", "certified")]
                    rows.append([grid.dataset, lam, mu, float(e), name, len(done),
                                 float(np.mean([d["drop"][i] for d in done])), *row,
                                 float(np.mean([d["robust"][i] for d in done])),
                                 int(sum(d["bound"][name]["violated"][i] for d in done))])
    return rows


def style(grid, cell):
    colour = f"C{grid.lambdas.index(cell[0])}"
    return {"color": colour, "linestyle": ["-", "--", ":", "-."][grid.mus.index(cell[1]) % 4],
            "label": f"λ={cell[0]:g} μ={cell[1]:g}"}


def panels(grids, width=4.4):
    figure, axes = plt.subplots(1, len(grids), figsize=(width * len(grids), 3.4), squeeze=False)
    return figure, axes[0]


def save(figure, path):
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def plot_curves(grids, path, measure, label):
    figure, axes = panels(grids)
    for axis, grid in zip(axes, grids):
        for cell, networks in grid.cells.items():
            eps = networks[0]["gap"]["eps"]
            values = np.array([measure(n) for n in networks])
            look = style(grid, cell)
            axis.plot(eps, values.mean(axis=0), linewidth=1.2, **look)
            axis.fill_between(eps, values.min(axis=0), values.max(axis=0), color=look["color"], alpha=0.08, linewidth=0)
        axis.set(title=grid.dataset, xlabel="eps (largest change of a weight)", ylabel=label)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=6)
    save(figure, path)


def plot_area(grids, path):
    figure, axes = panels(grids)
    for axis, grid in zip(axes, grids):
        width = 0.8 / len(grid.mus)
        for k, mu in enumerate(grid.mus):
            stats = [t_interval(list(grid.values((lam, mu), area).values())) for lam in grid.lambdas]
            means = [s[0] for s in stats]
            error = [[s[0] - s[1] for s in stats], [s[2] - s[0] for s in stats]]
            axis.bar(np.arange(len(means)) + k * width, means, width, yerr=error, capsize=2, label=f"μ={mu:g}")
        axis.set_xticks(np.arange(len(grid.lambdas)) + 0.4 - width / 2, [f"λ={v:g}" for v in grid.lambdas])
        axis.set(title=grid.dataset, ylabel="area under robust accuracy")
    axes[0].legend(fontsize=7)
    save(figure, path)


def plot_bounds(grids, path):
    cells = [(grid, cell) for grid in grids for cell in ((0.0, 0.0), (grid.lambdas[-1], 0.0))
             if any(n["bounds"] for n in grid.cells[cell])]
    if not cells:
        return
    figure, axes = plt.subplots(1, len(cells), figsize=(3.2 * len(cells), 3.4), squeeze=False, sharey=True)
    for axis, (grid, cell) in zip(axes[0], cells):
        done = [n["bounds"] for n in grid.cells[cell] if n["bounds"]]
        eps = done[0]["eps"]
        for name, colour in BOUNDS_SHOWN.items():
            if name in done[0]["bound"]:
                axis.loglog(eps, np.mean([d["bound"][name]["limit"] for d in done], axis=0), "o-", color=colour,
                            markersize=3, label=name)
        axis.loglog(eps, np.mean([d["drop"] for d in done], axis=0), "k.--", label="attack on each image")
        axis.set(title=f"{grid.dataset}\nλ={cell[0]:g} μ={cell[1]:g}", xlabel="eps")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("mean margin drop (logits)")
    axes[0][0].legend(fontsize=7)
    save(figure, path)


def plot_ranking(grids, path):
    figure, axes = panels(grids)
    for axis, grid in zip(axes, grids):
        for cell, networks in grid.cells.items():
            look = style(grid, cell)
            marker = ["o", "s", "^", "v"][grid.mus.index(cell[1]) % 4]
            axis.plot([n["gap"]["complexity"] for n in networks], [gaps(n)[0] for n in networks], marker,
                      color=look["color"], label=look["label"], markersize=4)
        axis.set(title=grid.dataset, xscale="log", xlabel="complexity term at gamma = 1 (vacuous)",
                 ylabel="measured gap without attack")
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=6)
    save(figure, path)


def write_summary(grids, networks, folder, path):
    with h5py.File(path, "w", libver="earliest", track_order=False) as f:
        f.attrs["filetype"] = "temblor-paper-summary"
        f.attrs["schema_version"] = [1, 0]

        def put(name, values, unit, meaning):
            data = f.create_dataset(name, data=values, track_times=False)
            data.attrs["unit"], data.attrs["meaning"] = unit, meaning

        strings = h5py.string_dtype()
        put("dataset", np.array([n["dataset"] for n in networks], dtype=strings), "", "images, one row a network")
        for key in ("lambda", "mu", "seed"):
            put(key, np.array([n[key] for n in networks]), "", f"{key} of the training run")
        put("eps", networks[0]["gap"]["eps"], "weight", "largest change of a weight; 0: no attack")
        for key in ("train_error", "test_error", "train_loss", "test_loss"):
            put(key, np.array([n["gap"][key] for n in networks]), "nat" if "loss" in key else "",
                f"{key.replace('_', ' ')} [network x eps], one perturbation for all images")
        for key, meaning in (("complexity", "complexity term at gamma 1"), ("value", "margin bound, any class, least eps"),
                             ("spectral", "product of spectral norms"), ("row", "product of largest row l1-norms")):
            put(key, np.array([n["gap"][key] for n in networks]), "", meaning)
        if all(n["relative"] for n in networks):
            put("relative/r", networks[0]["relative"]["r"], "", "largest change of a weight, relative to its size")
            put("relative/accuracy", np.array([n["relative"]["accuracy"] for n in networks]), "",
                "accuracy under it on 2000 test images [network x r]")
        done = [n for n in networks if n["bounds"]]
        if done:
            put("bounds/network", np.array([i for i, n in enumerate(networks) if n["bounds"]]), "",
                "row of /dataset, /lambda, /mu and /seed")
            put("bounds/eps", done[0]["bounds"]["eps"], "weight", "largest change of a weight")
            put("bounds/drop", np.array([n["bounds"]["drop"] for n in done]), "logit",
                "mean margin drop under the attack on each image [network x eps]")
            for name in done[0]["bounds"]["bound"]:
                put(f"bounds/{name}", np.array([n["bounds"]["bound"][name]["limit"] for n in done]), "logit",
                    "mean of the bound's limit on the margin drop [network x eps]")


def main():
    folder = Path(sys.argv[1])
    networks = collect(folder)
    grids = [Grid(d, networks) for d in sorted({n["dataset"] for n in networks})]
    accuracy = lambda n: 1 - n["gap"]["test_error"]  # noqa: E731
    curves(grids, folder / "robust_accuracy.csv", accuracy, "robust_accuracy")
    curves(grids, folder / "gap.csv", gaps, "gap")
    rows = []
    for grid in grids:
        for cell, members in grid.cells.items():
            values = list(grid.values(cell, area).values())
            relative = [relative_area(n) for n in members if n["relative"]]
            rows.append([grid.dataset, *cell, len(values), *t_interval(values), min(values), max(values),
                         float(np.mean(relative)) if relative else ""])
    write(folder / "area.csv", ["dataset", "lambda", "mu", "seeds", "area", "t95_lower", "t95_upper", "least", "most",
                                "relative_area"], rows)
    write(folder / "bounds.csv", ["dataset", "lambda", "mu", "eps", "bound", "seeds", "mean_drop", "mean_limit",
                                  "median_tightness", "certified", "robust", "violated"], tightness_rows(grids))
    found = claims(grids)
    write(folder / "claims.csv", list(found[0]), [list(c.values()) for c in found])
    ranking = {}
    for grid in grids:
        of = [n for n in networks if n["dataset"] == grid.dataset]
        gap, complexity = [float(gaps(n)[0]) for n in of], [n["gap"]["complexity"] for n in of]
        ranking[grid.dataset] = {"networks": len(of), "spearman_complexity_gap": rank_correlation(complexity, gap),
                                 "least_bound_value": min(n["gap"]["value"] for n in of),
                                 "most_bound_value": max(n["gap"]["value"] for n in of)}
    violated = sum(int(v["violated"].sum()) for n in networks if n["bounds"] for v in n["bounds"]["bound"].values())
    summary = {"version": networks[0]["gap"]["version"], "networks": len(networks), "violations": violated,
               "ranking": ranking, "claims": found}
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    write_summary(grids, networks, folder, folder / "summary.h5")
    plot_curves(grids, folder / "robust_accuracy.svg", accuracy, "accuracy under attack (test)")
    plot_curves(grids, folder / "gap.svg", gaps, "test error - training error")
    plot_area(grids, folder / "area.svg")
    plot_bounds(grids, folder / "bounds.svg")
    plot_ranking(grids, folder / "ranking.svg")
    print(f"{folder}: {len(networks)} networks, {violated} violations of bounds")
    for claim in found:
        print(f"  {claim['dataset']:14} {claim['claim']:54} lambda={claim['lambda']:g} mu={claim['mu']:g}: "
              f"{claim['measure']} {claim['difference']:+.4f} [{claim['t95_lower']:+.4f}, {claim['t95_upper']:+.4f}] "
              f"{claim['verdict']}")


if __name__ == "__main__":
    main()
