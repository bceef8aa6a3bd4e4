include { memory_for } from '../resources'

// Ranks the ligand–receptor pairs of each time point and tissue with liana's consensus, on a sample of its cells.
process LIGREC_RANK {
    label 'cells'
    memory { memory_for(counts, 3, 2, task.attempt) }
    container 'cartox/ligrec:0.1.0'
    conda "${moduleDir}/../../containers/conda/ligrec.yml"

    input:
    path counts, stageAs: 'counts/*'
    path labels, stageAs: 'labels/*'
    path samples
    path resource
    val step

    output:
    path '*.rank.csv', emit: ranks
    path 'versions.txt', topic: versions

    script:
    """
    # code ${step.code}
    ligrec_rank.py --samples ${samples} --counts counts/*.h5 --labels labels/*.csv --resource ${resource} ${step.args}
    """

    stub:
    """
    touch stub.rank.csv versions.txt
    """
}
