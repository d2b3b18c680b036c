"""What is true: the words and rules of credit-information reporting.

Pure Python and pydantic. Nothing here reads a file, a topic, a socket or a clock; what a rule
needs to know (the time of receipt, the registry, the calendar) is handed to it.
"""
