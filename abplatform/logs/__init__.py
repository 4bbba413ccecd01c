"""What happened: landed, validated, loaded once and joined."""
