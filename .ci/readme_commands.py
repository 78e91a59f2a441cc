"""Run the code blocks of README.md as a reader would, in order, and stop at the first that fails.

```sh blocks run in bash from the root of the checkout (the lines that make a virtual environment
and the blocks marked `download` are left out, the latter because they need a network);
```python blocks run in a fresh interpreter, one marked `continue` after the text of the block
before it. With an argument, as in `readme_commands.py "style gatys"`, only the blocks that contain
it run, those marked `download` too.
"""

import re
import subprocess
import sys
from pathlib import Path

readme = (Path(__file__).parent.parent / "README.md").read_text()
wanted = " ".join(sys.argv[1:])
before = ""
count = 0
for language, mark, code in re.findall(r"^```(sh|python) ?(\w*)\n(.*?)^```", readme, re.M | re.S):
    if (mark == "download" and not wanted) or "-m venv" in code:
        continue
    if language == "python":
        code = before + code if mark == "continue" else code
        before = code
    if wanted not in code:
        continue
    command = [sys.executable, "-c", code] if language == "python" else ["bash", "-ec", code]
    print(f"--- {code.strip().splitlines()[-1]}", flush=True)
    subprocess.run(command, check=True)
    count += 1
print(f"{count} blocks of README.md ran")
