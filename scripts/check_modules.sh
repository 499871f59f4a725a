#!/usr/bin/env bash
# The module order: a module includes only modules below it, and some libraries have one home. Prints each include that
# breaks the order, and fails if there is one. Argument: root of another source tree.
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}"

# Lowest first; modules of one line do not include each other.
order=(
  "base"
  "random hdf5 stats"
  "formats"
  "network"
  "data"
  "perturb"
  "evaluate"
  "bounds"
  "attacks"
  "train campaign"
  "generalize"
  "report"
  "cli"
)

# Header, as a pattern, and the modules that may include it, or parts of them: Keras and safetensors files are JSON in
# part.
declare -A homes=(
  ['<(hdf5|H5[A-Za-z]*)(_hl)?\.h>']=" hdf5 "
  ['<boost/program_options']=" cli "
  ['<boost/math']=" stats "
  ['<toml']=" campaign "
  ['<nlohmann/']=" report cli network/keras network/safetensors "
  ['<Random123/']=" random "
  ['<openssl/']=" base "
  ['<zlib\.h']=" data "
)

declare -A level
for index in "${!order[@]}"; do
  for module in ${order[index]}; do level[$module]=$index; done
done

broken=0
complain() {
  echo "$1" >&2
  broken=1
}

while IFS=: read -r file line include; do
  part=
  case $file in
    attacks/*) module=attacks ;;
    datasets/*) module=data ;;
    *) module=${file#include/temblor/} module=${module#src/} part=${module%/*} module=${module%%/*} ;;
  esac
  if [[ -z ${level[$module]:-} ]]; then
    complain "$file:$line: module '$module' is not in the order of check_modules.sh"
  elif [[ $include =~ \<temblor/([a-z0-9]+)/ ]]; then
    other=${BASH_REMATCH[1]}
    if [[ $other != "$module" ]] && ((${level[$other]:-99} >= level[$module])); then
      complain "$file:$line: $module must not include $other"
    fi
  else
    for pattern in "${!homes[@]}"; do
      if [[ $include =~ $pattern && ${homes[$pattern]} != *" $module "* &&
        (-z $part || ${homes[$pattern]} != *" $part "*) ]]; then
        complain "$file:$line: only${homes[$pattern]}may include ${include#*include }"
      fi
    done
  fi
done < <(grep -rnEs --include='*.hpp' --include='*.cpp' '^ *# *include <' include/temblor src attacks datasets)
exit "$broken"
