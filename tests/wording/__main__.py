"""Write the files anew from what the code says now."""

from tests.wording.situations import FILES, FOLDER

for name, made in FILES.items():
    (FOLDER / name).write_text(made(), encoding="utf-8")
