"""What is found out of cells: quality, doublets, one space, clusters, types, CAR."""
