"""The gene sets that ship, and users' files."""

from __future__ import annotations

import pytest

import pathways
from cartox.cli import InputError
from cartox.signals import gene_sets

FOLDER = pathways.GENE_SETS


def test_what_ships():
    net = gene_sets.load(list(gene_sets.SHIPPED), FOLDER)
    sets = net.groupby("collection")["source"].nunique().to_dict()
    assert sets == {"hallmark": 50, "reactome": 34, "progeny": 14, "cytosig": 43}
    assert not net.duplicated(["source", "target"]).any()
    assert (net.loc[net["collection"].isin(["hallmark", "reactome"]), "weight"] == 1).all()
    size = net.groupby("source").size()
    assert set(size[size.index.str.startswith("CYTOSIG_")]) == {1000}
    assert set(size[size.index.str.startswith("PROGENY_")]) == {500}


@pytest.mark.parametrize(
    ("signature", "gene", "sign"),
    [
        ("CYTOSIG_IFNG", "IRF1", 1),
        ("CYTOSIG_IFN1", "IFIT3", 1),
        ("CYTOSIG_IL10", "SOCS3", 1),
        ("CYTOSIG_IL10", "IFIT3", -1),
        ("CYTOSIG_IL6", "SOCS3", 1),
        ("PROGENY_JAK_STAT", "STAT1", 1),
        ("PROGENY_NFKB", "NFKBIA", 1),
    ],
)
def test_signs_are_those_of_biology(signature, gene, sign):
    net = gene_sets.load(["progeny", "cytosig"], FOLDER)
    weight = net[(net["source"] == signature) & (net["target"] == gene)]["weight"].item()
    assert weight * sign > 0


def test_every_fault_is_listed(tmp_path):
    (tmp_path / "bad.gmt").write_text("NAME_ONLY\n\nOK\tsaid\tA\tB\n")
    (tmp_path / "bad.tsv").write_text("source\ttarget\tweight\nS\tA\tmuch\nS\tB\t1\nS\tB\t2\n")
    (tmp_path / "short.tsv").write_text("source\ttarget\nS\tA\n")
    (tmp_path / "again.gmt").write_text("HALLMARK_APOPTOSIS\tx\tA\tB\n")
    names = [
        "hallmark",
        "kegg",
        *(str(tmp_path / n) for n in ("bad.gmt", "bad.tsv", "short.tsv", "again.gmt")),
    ]
    with pytest.raises(InputError) as caught:
        gene_sets.load(names, FOLDER)
    said = str(caught.value)
    for part in (
        "kegg: no such file",
        "line 1: a set is",
        "row 2: the weight",
        "S lists B more",
        "no column weight",
        "HALLMARK_APOPTOSIS is in more",
    ):
        assert part in said


def test_a_users_signature_keeps_its_signs(tmp_path):
    (tmp_path / "mine.v2.tsv").write_text("source\ttarget\tweight\nS\tNA\t-1.5\nS\tB\t1\n")
    net = gene_sets.load([str(tmp_path / "mine.v2.tsv")], FOLDER)
    assert net.to_numpy().tolist() == [["mine", "S", "NA", -1.5], ["mine", "S", "B", 1.0]]
