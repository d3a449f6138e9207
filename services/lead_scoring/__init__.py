"""What is known of a lead into a score with its reasons: lead-changes in, lead-scores out, nothing kept."""
