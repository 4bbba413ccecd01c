"""Model versions on disk, named by what they hold, and the aliases that say which one is in use.

```
<root>/<sha256>/manifest.json        kind, files with their sha256, metadata, created_at
<root>/<sha256>/model.safetensors    weights, as safetensors or ONNX: pickles can run code when read
<root>/ALIASES.json                  {kind: {champion | challenger | previous: sha256}}
<root>/HISTORY.jsonl                 who became champion when; append-only
```

A version's name is the sha256 of its kind, its files' hashes and its metadata. The time of its
creation is beside the point: training the same model again gives the same name. Every load hashes
the files again, so a version is either exactly what was saved or refused.
"""

from abplatform.checkpoints.champions import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    aliases,
    load_checkpoint,
    nominate,
    promote,
    rollback,
)
from abplatform.checkpoints.versions import (
    MANIFEST,
    Checkpoint,
    list_checkpoints,
    read_folder,
    save_checkpoint,
    write_manifest,
)

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "MANIFEST",
    "PREVIOUS",
    "Checkpoint",
    "aliases",
    "list_checkpoints",
    "load_checkpoint",
    "nominate",
    "promote",
    "read_folder",
    "rollback",
    "save_checkpoint",
    "write_manifest",
]
