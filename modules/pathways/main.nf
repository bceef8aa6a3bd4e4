include { memory_for } from '../resources'

// Scores gene sets on all samples' pseudobulk, over the whole cohort and over each contrast's samples alone.
process PATHWAYS {
    tag "${pseudobulk instanceof List ? pseudobulk.size() : 1} samples"
    label 'model'
    memory { memory_for(pseudobulk, 2, 20, task.attempt) }
    container 'cartox/pathways:0.1.0'
    conda "${moduleDir}/../../containers/conda/pathways.yml"

    input:
    path pseudobulk, stageAs: 'pseudobulk/*'
    path samples
    path clinical
    path contrasts, stageAs: 'contrasts/*'
    path gene_sets, stageAs: 'gene_sets/*'
    val step

    output:
    path 'pathway_scores.parquet', emit: scores
    path 'pseudobulk.h5ad', emit: pseudobulk
    path 'pathways.json', emit: summary
    path 'versions.txt', topic: versions

    script:
    def sets = [gene_sets].flatten().join(',')
    def people = clinical ? "--clinical ${clinical}" : ''
    """
    # code ${step.code}
    shopt -s nullglob
    pathways.py --pseudobulk pseudobulk/*.h5 --samples ${samples} ${people} \\
        --contrasts contrasts/*.json --gene_sets ${sets} ${step.args}
    """

    stub:
    """
    touch pathway_scores.parquet pseudobulk.h5ad pathways.json versions.txt
    """
}
