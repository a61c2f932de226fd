# Public keys as people write them: plain, in a set with roles, or read from a file with its trailing newline.
{ lib }:
let
  trim =
    text:
    let
      inner = builtins.match "[[:space:]]*(.*[^[:space:]])[[:space:]]*" text;
    in
    if inner == null then "" else builtins.head inner;
  textOf = entry: trim (if builtins.isAttrs entry then entry.key else entry);
in
{
  inherit trim textOf;

  # As they appear in the policy.
  trimmed =
    entry: if builtins.isAttrs entry then entry // { key = textOf entry; } else textOf entry;

  # The key itself, whatever its name: what follows the name, without an SSH key's comment.
  materialOf =
    entry:
    let
      parts = builtins.match "[^:]*:[[:space:]]*([^[:space:]]+([[:space:]]+[^[:space:]]+)?).*" (textOf entry);
    in
    if parts == null then textOf entry else builtins.head parts;

  # A line of authorized_keys (sshd(8)) with `restrict` before its options, or before the key if it has none.
  restricted =
    line:
    let
      text = trim line;
      hasOptions = builtins.match "(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+[[:space:]].*" text == null;
    in
    "restrict${if hasOptions then "," else " "}${text}";
}
