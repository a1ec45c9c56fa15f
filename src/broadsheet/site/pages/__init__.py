"""What readers see: feed, paper, author, organisation, claims and search pages."""
