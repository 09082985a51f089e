"""What a model is worth: metrics under each paper's protocol, intervals, tables and pages."""
