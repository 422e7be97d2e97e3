/** Where a build puts the environment, as v1's images had it. */
export const BUILT_ENVIRONMENT = '/azureml-envs/aksml';

/** What the script says where conda is needed and there is none. */
export const NO_CONDA = 'This environment needs conda, and the base image has none.';

/**
 * Installs the environment while an image is built: with conda where the base image has it, as v1 did, else from PyPI into a virtual
 * environment. First argument: the minor version of Python that is wanted; second: `conda` when PyPI cannot do it.
 */
export const INSTALL_SCRIPT = `#!/bin/sh
set -eu
cd "$(dirname "$0")"
target=${BUILT_ENVIRONMENT}

# Secrets of the build stand for the variables that requirements.txt refers to; none is kept in the image.
for secret in /run/secrets/*; do
  if [ -f "$secret" ]; then export "$(basename "$secret")=$(cat "$secret")"; fi
done

if command -v micromamba >/dev/null 2>&1; then
  micromamba create --yes --prefix "$target" --file conda_dependencies.yml
  micromamba clean --all --yes
  exit
fi
for conda in mamba conda; do
  if command -v "$conda" >/dev/null 2>&1; then
    "$conda" env create --prefix "$target" --file conda_dependencies.yml
    "$conda" clean --all --yes
    exit
  fi
done

if [ "\${2:-}" = conda ]; then
  echo '${NO_CONDA}' >&2
  exit 1
fi
for python in "python\${1:-3}" python3 python; do
  if command -v "$python" >/dev/null 2>&1; then
    "$python" -m venv "$target"
    "$target/bin/python" -m pip install --no-cache-dir --disable-pip-version-check --requirement requirements.txt
    exit
  fi
done
echo 'The base image has neither conda nor Python.' >&2
exit 1
`;
