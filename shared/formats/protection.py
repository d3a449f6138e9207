"""What a password makes of a format's files: an AES-256 ZIP with the file in it, unless the format knows encryption of its own."""

from shared.formats.base import Format

ZIP_EXTENSION, ZIP_MEDIA_TYPE = ".zip", "application/zip"
ZIP_LEVEL = -1  # that the file in it is deflated on: zlib's own choice


def published(fmt: Format, name: str) -> tuple[str, str]:
    """The name and the media type of the encrypted file whose content is called `name`."""
    return (name, fmt.media_type) if fmt.encrypts_itself else (name + ZIP_EXTENSION, ZIP_MEDIA_TYPE)


def member(name: str) -> str:
    """What the file inside the ZIP `name` is called."""
    return name.removesuffix(ZIP_EXTENSION)
