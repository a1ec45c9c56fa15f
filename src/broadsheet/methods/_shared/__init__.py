"""What two families share, under names that say what they hold."""
