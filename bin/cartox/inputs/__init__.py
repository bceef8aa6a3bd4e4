"""What a cohort's user gave, held against its rules: sheets, questions, tables and matrices."""
