/** Conda names of packages that PyPI has under another name. */
const PYPI_NAMES: Readonly<Record<string, string>> = {
  'antlr-python-runtime': 'antlr4-python3-runtime',
  'dask-core': 'dask',
  faiss: 'faiss-cpu',
  'fonttools-base': 'fonttools',
  'hdf5-python': 'h5py',
  'keras-base': 'keras',
  'matplotlib-base': 'matplotlib',
  'msgpack-python': 'msgpack',
  'mysql-connector-python': 'mysql-connector-python',
  opencv: 'opencv-python-headless',
  psycopg2: 'psycopg2-binary',
  'py-lightgbm': 'lightgbm',
  'py-opencv': 'opencv-python-headless',
  'py-xgboost': 'xgboost',
  'py-xgboost-cpu': 'xgboost',
  'py-xgboost-gpu': 'xgboost',
  pytables: 'tables',
  'python-flatbuffers': 'flatbuffers',
  'python-graphviz': 'graphviz',
  'python-lmdb': 'lmdb',
  'python-snappy': 'python-snappy',
  pytorch: 'torch',
  'pytorch-cpu': 'torch',
  'pytorch-gpu': 'torch',
  pyyaml: 'PyYAML',
  ruamel_yaml: 'ruamel.yaml',
  'seaborn-base': 'seaborn',
  'tensorflow-base': 'tensorflow',
  'tensorflow-cpu': 'tensorflow-cpu',
  'tensorflow-eigen': 'tensorflow',
  'tensorflow-gpu': 'tensorflow',
  'tensorflow-mkl': 'tensorflow',
  'torchvision-cpu': 'torchvision',
  'xgboost-cpu': 'xgboost',
};

/** Parts that a wheel brings along or that only conda itself needs: leaving them out changes nothing for a scoring script. */
const BROUGHT_BY_WHEELS: ReadonlySet<string> = new Set(
  `_libgcc_mutex _openmp_mutex _py-xgboost-mutex _pytorch_select _tflow_select binutils_impl_linux-64 blas brotli bzip2 c-ares
   ca-certificates conda cpuonly cuda cuda-cudart cuda-libraries cuda-nvrtc cuda-nvtx cuda-runtime cuda-toolkit cuda-version cudatoolkit cudnn
   expat fontconfig freetype gettext giflib gmp gmpy2-base graphite2 gst-plugins-base gstreamer harfbuzz hdf5 icu intel-openmp jpeg kernel-headers_linux-64
   keyutils krb5 lame lcms2 ld_impl_linux-64 lerc libabseil libblas libbrotlicommon libbrotlidec libbrotlienc libcblas libcublas libcufft
   libcurand libcurl libcusolver libcusparse libdeflate libedit libev libevent libexpat libffi libfreetype libfreetype6 libgcc libgcc-ng libgfortran
   libgfortran-ng libgfortran4 libgfortran5 libglib libgomp libiconv libidn2 libjpeg-turbo liblapack liblapacke libllvm14 libllvm15 libnghttp2
   libnsl libntlm libopenblas libpng libprotobuf libsodium libsqlite libssh2 libstdcxx libstdcxx-ng libtiff libunistring libuuid libuv
   libvorbis libwebp libwebp-base libxcb libxcrypt libxgboost libxml2 libxslt libzlib llvm-openmp lz4-c mkl mkl-service mkl_fft mkl_random mpc mpfr
   ncurses nettle nomkl openblas openh264 openjpeg openssl p11-kit pcre pcre2 pip pixman pthread-stubs python_abi pytorch-cuda pytorch-mutex qt
   qt-main readline sip snappy sqlite sysroot_linux-64 tbb tk tzdata ucrt vc vc14_runtime vs2015_runtime xorg-libxau xorg-libxdmcp xz yaml zlib zstd`.split(
    /\s+/,
  ),
);

/** Programs, libraries and languages that exist only in conda channels. */
const CONDA_ONLY: ReadonlySet<string> = new Set(
  `apex bioconda boost-cpp cmake compilers cuml cudf ffmpeg gcc gcc_linux-64 gdal geos git graphviz gxx gxx_linux-64 java-jdk libgdal libsndfile make
   mpich msodbcsql17 mysql nodejs nvidia-apex openjdk openmpi perl poppler postgresql proj rapids ruby sox tesseract unixodbc wget`.split(
    /\s+/,
  ),
);

const CONDA_ONLY_PREFIX = /^(r|bioconductor|perl|spacy-model|gcc|gxx|gfortran|java|xorg)-|^(r|julia)$/;

export type CondaPackage =
  | { readonly kind: 'pypi'; readonly name: string }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'condaOnly' };

/** What becomes of a conda package when the environment is installed from PyPI. Unknown names are taken to be the same there. */
export function classifyCondaPackage(name: string): CondaPackage {
  const key = name.toLowerCase();
  if (BROUGHT_BY_WHEELS.has(key)) return { kind: 'ignored' };
  if (CONDA_ONLY.has(key) || CONDA_ONLY_PREFIX.test(key)) return { kind: 'condaOnly' };
  return { kind: 'pypi', name: PYPI_NAMES[key] ?? name };
}

/** A conda match specification taken apart. */
export interface MatchSpec {
  readonly channel?: string;
  readonly name: string;
  /** `=1.2`, `==1.2`, `>=1,<2`, ` 1.2`, or empty. */
  readonly version: string;
}

/** Reads `channel/subdir::name[version=…]`, `name=1.2=build`, `name 1.2 build`, `name>=1,<2`; undefined for anything else. */
export function parseMatchSpec(text: string): MatchSpec | undefined {
  const match =
    /^(?:(?<channel>\S+?)::)?(?<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)\s*(?<version>[^[]*)(?:\[(?<bracket>.*)\])?$/.exec(
      text.trim(),
    );
  const groups = match?.groups;
  if (!groups?.['name']) return undefined;
  const bracketVersion = /version\s*=\s*(?:'([^']*)'|"([^"]*)"|([^,\s]*))/.exec(groups['bracket'] ?? '');
  const version = bracketVersion?.[1] ?? bracketVersion?.[2] ?? bracketVersion?.[3] ?? groups['version'] ?? '';
  return {
    ...(groups['channel'] === undefined
      ? {}
      : { channel: groups['channel'].replace(/\/(linux|osx|win|noarch)[\w-]*$/, '') }),
    name: groups['name'],
    version: version.trim(),
  };
}

/** The version part as PyPI's specifiers: conda's `=1.2` is a prefix, `==1.2` and ` 1.2` are exact. Undefined for `1.1|1.2` and the like. */
export function toPypiSpecifier(version: string): string | undefined {
  const trimmed = version.trim();
  if (trimmed === '' || trimmed === '*') return '';
  if (/[|()]/.test(trimmed)) return undefined;
  const parts = trimmed.split(',').map((part) => part.trim());
  if (parts.length > 1) {
    const specifiers = parts.map((part) => (/^[<>!=~]/.test(part) ? toPypiSpecifier(part) : prefixOrExact(part)));
    return specifiers.includes(undefined) ? undefined : specifiers.join(',');
  }
  const fuzzy = /^=\s*([^\s=]+)(?:[=\s]\S+)?$/.exec(trimmed);
  if (fuzzy?.[1]) return prefixOrExact(fuzzy[1]);
  const exact = /^(?:==\s*)?(\d\S*?)(?:[=\s]\S+)?$/.exec(trimmed);
  if (exact?.[1]) return `==${exact[1]}`;
  const ranged = /^(>=|<=|>|<|!=|~=)\s*([^\s=<>]+)$/.exec(trimmed);
  return ranged?.[1] && ranged[2]
    ? ranged[1] + (ranged[1] === '!=' ? ranged[2] : ranged[2].replace(/\.?\*$/, ''))
    : undefined;
}

function prefixOrExact(version: string): string {
  const base = version.replace(/\.?\*$/, '');
  if (base === '') return '';
  return /^\d+(\.\d+)*$/.test(base) ? `==${base}.*` : `==${base}`;
}
