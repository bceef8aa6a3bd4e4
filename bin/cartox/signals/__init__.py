"""What is measured of samples: pseudobulk, pathways, ligand–receptor pairs, programmes, in one table."""
