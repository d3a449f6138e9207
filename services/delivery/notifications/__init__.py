"""The feed of what people should know, and the channels that are alerted of what failed."""
