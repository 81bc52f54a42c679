"""What people read: templates, the text of every version, and messages composed of them for one person each."""
