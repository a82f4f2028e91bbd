"""What an event is: its fields, features and aggregates, and how a record becomes one."""
