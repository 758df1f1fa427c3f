"""The page for the duty room and the open interface: a process of its own, which reads the bridge's store."""
