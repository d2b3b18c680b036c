"""What moves: everything that reads or writes a file, a topic, a table, a socket or a page."""
