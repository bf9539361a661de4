# Shared by ./quickstart and ./test: Debian packages, and the build. Sourced, not run.

BUILD_PACKAGES=(
  g++ cmake ninja-build mold pkg-config
  libgrpc++-dev protobuf-compiler-grpc protobuf-compiler libprotobuf-dev libabsl-dev libssl-dev
  libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libsqlite3-dev libspdlog-dev prometheus-cpp-dev libcivetweb-dev
  libucx-dev zlib1g-dev libeigen3-dev dataset-fashion-mnist
  python3-dev python3-venv python3-pip python3-numpy ccache
)
TEST_PACKAGES=(libgtest-dev libgmock-dev clang-14 clang-format-14 python3-torch)
# From PyPI, into the virtual environment; NumPy stays Debian's, as python3-torch needs.
PYTHON_BUILD=(nanobind scikit-build-core)
PYTHON_TEST=("${PYTHON_BUILD[@]}" "numpy<2" pytest hypothesis ruff mypy onnx safetensors pyyaml)

BUILD_DIR=build/release
VENV=$PWD/build/venv  # the Python package is installed here; it sees Debian's NumPy
JOBS=${DS_JOBS:-$(nproc)}

say() { printf '== %s\n' "$*"; }

is_installed() { [[ $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) == 'install ok installed' ]]; }

# Certificates that were put there by hand, as behind a proxy that opens TLS, are lost when a package brings
# ca-certificates: pip goes on with what the machine trusted before.
keep_certificates() {
  local bundle=/etc/ssl/certs/ca-certificates.crt kept=$PWD/build/certificates.crt
  if [[ -s $bundle ]] && ! is_installed ca-certificates; then mkdir -p build && cp "$bundle" "$kept"; fi
  if [[ -s $kept ]]; then export PIP_CERT=$kept REQUESTS_CA_BUNDLE=$kept SSL_CERT_FILE=$kept; fi  # pip heeds each of them
}

# install_packages NAME...: installs those that are missing; quick when none is.
install_packages() {
  local missing=() name
  keep_certificates
  for name in "$@"; do
    is_installed "$name" || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  local root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || { echo "need root or sudo to install: ${missing[*]}" >&2; return 1; }
    root=(sudo)
  fi
  say "installing ${missing[*]}"
  local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0)
  "${apt[@]}" install --no-install-recommends "${missing[@]}" && return 0
  "${apt[@]}" update  # the lists were absent or old
  "${apt[@]}" install --no-install-recommends "${missing[@]}"
}

# make_venv NAME...: the virtual environment, with what PyPI has under these names; quick when it is there.
make_venv() {
  local stamp
  stamp=$VENV/.$(printf '%s\n' "$@" | cksum | cut -d' ' -f1)
  [[ -f $stamp ]] && return 0
  say "virtual environment build/venv: $*"
  [[ -x $VENV/bin/pip ]] || /usr/bin/python3 -m venv --system-site-packages "$VENV" || return 1
  "$VENV/bin/pip" install -q --disable-pip-version-check "$@" && touch "$stamp"
}

# Installs the Python package into the virtual environment, unless nothing it is made of has changed.
install_python() {
  local stamp=$VENV/.installed
  if [[ -f $stamp && -z $(find python engine kernels proto scheduler client cmake CMakeLists.txt pyproject.toml -newer "$stamp" -type f -print -quit) ]]; then return 0; fi
  say "installing the Python package into build/venv"
  # The compiler by the name that the daemons' build calls it: to the compiler cache another name is another compiler.
  CC=cc CXX=c++ "$VENV/bin/pip" install -q --disable-pip-version-check --no-build-isolation --no-deps . && touch "$stamp"
}

# configure FLAG...: with flags always, without only if the folder has never been configured.
configure() {
  if (($#)) || [[ ! -f $BUILD_DIR/build.ninja ]]; then
    say "configuring $BUILD_DIR"
    cmake -G Ninja -B "$BUILD_DIR" -DCMAKE_BUILD_TYPE=Release -DDS_PYTHON=ON "-DPython_EXECUTABLE=$VENV/bin/python" "$@" >"$BUILD_DIR.log" 2>&1 ||
      { tail -n 30 "$BUILD_DIR.log" >&2; return 1; }
  fi
}
