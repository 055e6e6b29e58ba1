# Wiki Battlefield. `make` alone lists what there is. Written for GNU make 3.81, which macOS ships.

ifeq ($(OS),Windows_NT)
$(error On Windows run this in WSL 2 (https://learn.microsoft.com/windows/wsl/install): the broker and ClickHouse come as packages for Linux and macOS only)
endif

VENV := .venv
PYTHON ?=
export PYTHON
UV ?= uv
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

##### Without Docker

.PHONY: demo
demo: $(VENV)/demo.stamp ## Run everything here. SOURCE=live|simulate|FILE|URL; CONTACT=you@example.org for the live stream
	@$(if $(CONTACT),EVENTSTREAMS_CONTACT='$(CONTACT)') $(VENV)/bin/battlefield up $(if $(SOURCE),--source '$(SOURCE)') $(ARGS)

##### With Docker

.PHONY: init
init: ## Write .env with random passwords, where there is none. CONTACT=you@example.org names you to Wikimedia
	@python=$$(sh scripts/find_python.sh) && "$$python" scripts/init_env.py $(if $(CONTACT),--contact '$(CONTACT)')

NOTIFY := $(shell { [ -n "$$ALERT_WEBHOOK_URL" ] || grep -qs '^ALERT_WEBHOOK_URL=.' .env; } && echo --profile notify)

.PHONY: up
up: .env ## Start the containers and wait until all are healthy. SOURCE=simulate plays a war game
ifeq ($(SOURCE),simulate)
	EVENTSTREAMS_URL=http://simulator:8080/v2/stream/recentchange EVENTSTREAMS_SINCE=1h \
	STACK_SIMULATE_ARGS="--start $$(date -u +%Y-%m-%dT%H:00:00Z)" \
	docker compose $(NOTIFY) --profile simulate up --build --wait
else
	@[ -n "$$EVENTSTREAMS_CONTACT" ] || grep -q '^EVENTSTREAMS_CONTACT=.' .env || { \
		echo "Wikimedia asks for a contact: make init CONTACT=you@example.org. Without one: make up SOURCE=simulate" >&2; exit 1; }
	docker compose $(NOTIFY) up --build --wait
endif

.PHONY: status
status: .env ## Tell how each container is, and how far behind. ARGS=--json for programs
	@sh scripts/compose_status.sh $(ARGS)

.PHONY: backup
backup: .env ## Save what ClickHouse holds into a new folder TO=backups/NAME, while all goes on running
	@[ -n '$(TO)' ] || { echo "Where to? make backup TO=backups/$$(date -u +%Y-%m-%d)" >&2; exit 1; }
	@sh scripts/compose_backup.sh backup '$(TO)'

.PHONY: restore
restore: .env ## Write the backup FROM=backups/NAME into an empty ClickHouse: after its volume was lost, or elsewhere
	@[ -n '$(FROM)' ] || { echo "From where? make restore FROM=backups/NAME" >&2; exit 1; }
	@sh scripts/compose_backup.sh restore '$(FROM)'

.PHONY: down
down: ## Stop the containers; what they stored stays
	docker compose --profile '*' down

.env:
	@echo "There is no .env yet: run 'make init' first." >&2; exit 1

##### Work on the code

.PHONY: test
test: $(VENV)/dev.stamp ## Run all tests. ARGS='-k windows' passes arguments on to pytest
	@$(VENV)/bin/python -m pytest $(ARGS)

.PHONY: containers
containers: $(VENV)/dev.stamp ## Check the stack of compose.yaml on this machine's Docker engine, crashes included: minutes
	@$(VENV)/bin/python -m scripts.docker_check $(ARGS)

.PHONY: lint
lint: $(VENV)/dev.stamp ## Check style, formatting, types, shell scripts, Dockerfiles and compose.yaml
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/mypy -p services -p scripts
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" sh scripts/lint_containers.sh

.PHONY: format
format: $(VENV)/dev.stamp ## Put the code into the project's format
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

.PHONY: bench
bench: $(VENV)/demo.stamp ## Measure each stage and the whole, over the war game or RECORDING=FILE.jsonl[.gz]
	@$(VENV)/bin/python -m scripts.bench $(if $(RECORDING),--recording '$(RECORDING)') $(ARGS)

.PHONY: bench-growth
bench-growth: $(VENV)/dev.stamp ## Measure how cost grows with rate, pages and days, and the stack at rest: half an hour
	@$(VENV)/bin/python -m scripts.bench_growth $(if $(RECORDING),--recording '$(RECORDING)') $(ARGS)

.PHONY: charts
charts: $(VENV)/charts.stamp ## Draw docs/charts from what bench-growth measured
	@$(VENV)/bin/python -m scripts.growth_charts

# The connector is of the version of pyspark in pyproject.toml. Java 17 and Maven are needed.
SPARK_JARS := build/spark-jars
KAFKA_JARS := build/kafka-jars
SPARK_PARTS := org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.1 org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.1.1 \
	org.apache.kafka:kafka-clients:3.9.1 org.apache.commons:commons-pool2:2.12.1

.PHONY: bench-peers
bench-peers: $(VENV)/peers.stamp $(SPARK_JARS)/stamp $(KAFKA_JARS)/stamp ## Measure the worker beside Bytewax and Spark (needs java 17 and mvn)
	@$(VENV)/bin/python -m scripts.bench_peers --jars $(SPARK_JARS) --kafka $(KAFKA_JARS) $(if $(RECORDING),--recording '$(RECORDING)') $(ARGS)

$(SPARK_JARS)/stamp: Makefile
	@mkdir -p $(SPARK_JARS)
	@for part in $(SPARK_PARTS); do \
		mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get -Dartifact=$$part -Dtransitive=false && \
		mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact=$$part -DoutputDirectory=$(CURDIR)/$(SPARK_JARS) \
		|| exit 1; done
	@touch $@

# the same Apache Kafka as in tests/standins
$(KAFKA_JARS)/stamp: tests/standins/redpanda/pom.xml
	@mkdir -p $(KAFKA_JARS)
	@mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(KAFKA_JARS) -DincludeScope=runtime
	@touch $@

DRILL := $(VENV)/bin/python -m scripts.drill --kills 20 --stream-faults $(if $(RECORDING),--recording '$(RECORDING)') $(ARGS)

.PHONY: drill
drill: $(VENV)/demo.stamp ## Kill each part 20 times amid a faulty stream and compare: minutes. RECORDING=FILE.jsonl[.gz]
	@$(DRILL) --part producer
	@$(DRILL) --part worker-1
	@$(DRILL) --part clickhouse
	@$(DRILL) --part broker
	@$(DRILL) --kills 0 --away clickhouse=120 --away broker=60 --events 200000
	@$(DRILL) --kills 0 --fill-broker 64

.PHONY: pictures
pictures: $(VENV)/dev.stamp ## Take the pictures of docs/pictures from a war game, in headless Chromium
	@$(VENV)/bin/python -m scripts.pictures

.PHONY: docs
docs: $(VENV)/demo.stamp ## Write anew what is made from the settings and the queries
	@$(VENV)/bin/python -m scripts.make_settings_doc
	@$(VENV)/bin/python -m scripts.make_api

# Each lock holds the one before it with the same versions: what the services need (the image), the run without
# Docker, the tools. setuptools is in the first: the project itself is built with it, offline. No index host is named.
COMPILE = $(UV) pip compile pyproject.toml build/build-requires.txt --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock' $(LOCK_ARGS)

.PHONY: lock
lock: ## Write the requirements*.lock files anew (needs uv). LOCK_ARGS=--upgrade takes the newest versions
	@command -v $(UV) >/dev/null || { echo "uv is needed: pip install uv, or make lock UV=/path/to/uv" >&2; exit 1; }
	@mkdir -p build
	@sed -n 's/^requires = \["\(.*\)"\]$$/\1/p' pyproject.toml > build/build-requires.txt
	@$(COMPILE) -o requirements.lock
	@$(COMPILE) -o requirements-demo.lock -c requirements.lock --extra embedded
	@$(COMPILE) -o requirements-dev.lock -c requirements-demo.lock --extra embedded --extra dev

.PHONY: clean
clean: ## Remove the virtual environment and caches; stored data and .env stay
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

##### The virtual environment: a changed lock installs again, else nothing is done

$(VENV)/bin/python:
	@python=$$(sh scripts/find_python.sh) && echo "Making $(VENV) with $$python" && "$$python" -m venv $(VENV)

$(VENV)/demo.stamp: requirements-demo.lock pyproject.toml | $(VENV)/bin/python
	@sh scripts/install_locked.sh $(VENV) requirements-demo.lock
	@touch $@

$(VENV)/peers.stamp: pyproject.toml $(VENV)/demo.stamp
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,peers]'
	@touch $@

$(VENV)/charts.stamp: pyproject.toml $(VENV)/demo.stamp
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,charts]'
	@touch $@

# the tools' lock holds all of the demo's, so both are up to date after it
$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@sh scripts/install_locked.sh $(VENV) requirements-dev.lock
	@touch $(VENV)/demo.stamp $@
