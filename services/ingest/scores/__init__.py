"""From touched leads to their scores: facts are published to lead-changes, scores come back on lead-scores. docs/scoring.md walks the road."""
