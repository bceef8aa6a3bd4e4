include { memory_for } from '../resources'

// Tests one contrast with the patient as the unit: moderated t, permutation p, families.
process ASSOCIATE {
    tag "${contrast.baseName}"
    label 'model'
    memory { memory_for([features, scores, pseudobulk], 2, 20, task.attempt) }
    container 'cartox/stats:0.1.0'
    conda "${moduleDir}/../../containers/conda/stats.yml"

    input:
    path contrast
    path features
    path scores
    path pseudobulk
    path samples
    path clinical
    path analytes
    val step

    output:
    path '*.associations.csv', emit: associations
    path '*.calibration.csv', emit: calibration
    path '*.values.parquet', emit: values
    path '*.contrast.json', emit: summary
    path 'versions.txt', topic: versions

    script:
    """
    # code ${step.code}
    associate.py --contrast ${contrast} --features ${features} --pathway_scores ${scores} \\
        --pseudobulk ${pseudobulk} --samples ${samples} --clinical ${clinical} --analytes ${analytes} ${step.args}
    """

    stub:
    """
    touch ${contrast.baseName}.associations.csv ${contrast.baseName}.calibration.csv
    touch ${contrast.baseName}.values.parquet ${contrast.baseName}.contrast.json versions.txt
    """
}
