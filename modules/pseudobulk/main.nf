include { memory_for } from '../resources'

// Sums one sample's raw counts by cell type and lineage, averages expression, and counts its cells by label.
process PSEUDOBULK {
    tag "${sample}"
    label 'light'
    memory { memory_for(counts, 1, 30, task.attempt) }
    container 'cartox/counts:0.1.0'
    conda "${moduleDir}/../../containers/conda/counts.yml"

    input:
    tuple val(sample), path(counts, stageAs: 'counts/*'), path(labels, stageAs: 'labels/*')
    val step

    output:
    path "${sample}.pseudobulk.h5", emit: counts
    path "${sample}.composition.csv", emit: composition
    path "${sample}.expression.npz", emit: expression
    path 'versions.txt', topic: versions

    script:
    """
    # code ${step.code}
    pseudobulk.py --sample ${sample} --counts ${counts} --labels ${labels} ${step.args}
    """

    stub:
    """
    touch ${sample}.pseudobulk.h5 ${sample}.composition.csv ${sample}.expression.npz versions.txt
    """
}
