"""The report: what each section shows, and how the page is put together by MultiQC."""
