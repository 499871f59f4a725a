"""Accuracy against bit error rate, one panel a protection, one line a format, from a study's table.

    plot.py study.csv study.svg
"""

import csv
import sys

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "temblor"  # the same picture, the same bytes
import matplotlib.pyplot as plt

with open(sys.argv[1], newline="") as file:
    rows = list(csv.DictReader(file))
formats = list(dict.fromkeys(row["format"] for row in rows))
protections = list(dict.fromkeys(row["protection"] for row in rows))

figure, panels = plt.subplots(1, len(protections), figsize=(4 * len(protections), 3.6), sharey=True, squeeze=False)
for panel, protection in zip(panels[0], protections):
    for name in formats:
        line = [row for row in rows if row["format"] == name and row["protection"] == protection]
        rate, mean, low, high = ([float(row[key]) for row in line]
                                 for key in ("rate", "accuracy", "accuracy_lower", "accuracy_upper"))
        panel.plot(rate, mean, marker="o", markersize=3, label=f"{name}, {int(line[0]['bits']):,} bits")
        panel.fill_between(rate, low, high, alpha=0.2)
    panel.set_xscale("log")
    panel.set_xlabel("bit error rate")
    panel.set_title(protection)
    panel.legend(fontsize=7, loc="lower left")
panels[0][0].set_ylabel("accuracy, mean and 95 % interval")
figure.tight_layout()
figure.savefig(sys.argv[2], metadata={"Date": None})
