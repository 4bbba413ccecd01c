"""What people look at: pages over the published tables; nothing here opens the warehouse."""
