"""What a command prints or writes: text, JSON, HTML, JUnit."""
