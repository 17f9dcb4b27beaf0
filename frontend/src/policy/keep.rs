//! The images that are left alone unless a policy names them in full.
//!
//! These images *are* their software: a database's data format, a gateway's entry point or a CUDA stack built against
//! one driver range don't survive on another root file system, and no service code is built on them that a shared base
//! could save anything for. Keeping one image too many costs bytes; replacing one costs an outage. So rules for products
//! that are widely mirrored match the last part of the name under any host and namespace (`**/postgres`), and rules for
//! names that others use too are tied to the vendor's namespace.

use std::sync::LazyLock;

use super::pattern::ImagePattern;
use super::reference::Reference;

/// What kind of image a rule keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Databases, caches and search engines.
    Database,
    /// Message queues and brokers.
    Queue,
    /// Vector stores.
    VectorStore,
    /// Metrics, logs, traces, dashboards.
    Monitoring,
    /// Web servers, proxies, API gateways.
    Gateway,
    /// Servers of machine learning models.
    ModelServer,
    /// CUDA, ROCm and the vendors' machine learning images.
    VendorMl,
    /// Service discovery, secrets, object stores, registries, build tools.
    Infrastructure,
}

impl Class {
    /// What an image of this class is, after "X is".
    pub fn noun(self) -> &'static str {
        match self {
            Self::Database => "a database",
            Self::Queue => "a message broker",
            Self::VectorStore => "a vector store",
            Self::Monitoring => "a monitoring component",
            Self::Gateway => "a web server or gateway",
            Self::ModelServer => "a model server",
            Self::VendorMl => "a GPU or vendor machine learning image",
            Self::Infrastructure => "an infrastructure component",
        }
    }

    /// Why images of this class stay, after "X is a …:".
    pub fn why(self) -> &'static str {
        match self {
            Self::Database => "its server, data directory and upgrade path belong to its own image",
            Self::Queue => "its server, stored messages and cluster protocol belong to its own image",
            Self::VectorStore => "its server and index format belong to its own image",
            Self::Monitoring => "it ships as a finished program that no service code is built on",
            Self::Gateway => "its modules, entry point and configuration paths belong to its own image",
            Self::ModelServer => "its runtime is built against the libraries and drivers of its own image",
            Self::VendorMl => "its libraries are built for one range of drivers and devices",
            Self::Infrastructure => "it ships as a finished program that other services depend on",
        }
    }
}

/// One built-in rule.
#[derive(Clone, Copy, Debug)]
pub struct KeepRule {
    pattern: &'static str,
    product: &'static str,
    class: Class,
}

impl KeepRule {
    /// The pattern, in the form that a policy would use.
    pub fn pattern(&self) -> &'static str {
        self.pattern
    }

    /// The class of what it keeps.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Why it keeps the image: a sentence without its full stop.
    pub fn reason(&self) -> String {
        format!("{} is {}: {}", self.product, self.class.noun(), self.class.why())
    }
}

/// Every built-in rule, in the order in which they are tried.
pub fn built_in_rules() -> &'static [KeepRule] {
    RULES
}

/// The first rule that keeps this image.
pub(super) fn find(image: &Reference) -> Option<&'static KeepRule> {
    static COMPILED: LazyLock<Vec<(ImagePattern, &'static KeepRule)>> = LazyLock::new(|| {
        // A rule that doesn't compile is left out here and found by the test below.
        RULES.iter().filter_map(|rule| Some((ImagePattern::parse(rule.pattern).ok()?, rule))).collect()
    });
    COMPILED.iter().find(|(pattern, _)| pattern.matches(image)).map(|(_, rule)| *rule)
}

const fn rule(pattern: &'static str, product: &'static str, class: Class) -> KeepRule {
    KeepRule { pattern, product, class }
}

const RULES: &[KeepRule] = {
    use Class::*;
    &[
        // Vector stores, before the databases that some of them extend.
        rule("**/pgvector", "pgvector", VectorStore),
        rule("pgvector/*", "pgvector", VectorStore),
        rule("**/chroma", "Chroma", VectorStore),
        rule("**/chromadb", "Chroma", VectorStore),
        rule("**/qdrant", "Qdrant", VectorStore),
        rule("**/weaviate", "Weaviate", VectorStore),
        rule("**/milvus", "Milvus", VectorStore),
        rule("milvusdb/*", "Milvus", VectorStore),
        rule("**/vespa", "Vespa", VectorStore),
        rule("**/marqo", "Marqo", VectorStore),
        rule("**/vald-*", "Vald", VectorStore),
        // Databases, caches, search.
        rule("**/postgres", "PostgreSQL", Database),
        rule("**/postgresql", "PostgreSQL", Database),
        rule("**/postgresql-repmgr", "PostgreSQL", Database),
        rule("**/postgis", "PostGIS", Database),
        rule("**/timescaledb*", "TimescaleDB", Database),
        rule("**/pgbouncer", "PgBouncer", Database),
        rule("**/mysql", "MySQL", Database),
        rule("**/mysql-server", "MySQL", Database),
        rule("**/mariadb*", "MariaDB", Database),
        rule("**/percona*", "Percona Server", Database),
        rule("**/mongo", "MongoDB", Database),
        rule("**/mongodb*", "MongoDB", Database),
        rule("**/mongo-express", "Mongo Express", Database),
        rule("**/redis", "Redis", Database),
        rule("**/redis-stack*", "Redis Stack", Database),
        rule("**/redis-cluster", "Redis", Database),
        rule("**/redis-sentinel", "Redis", Database),
        rule("**/valkey*", "Valkey", Database),
        rule("**/keydb", "KeyDB", Database),
        rule("**/dragonfly", "Dragonfly", Database),
        rule("**/memcached", "Memcached", Database),
        rule("**/cassandra", "Apache Cassandra", Database),
        rule("scylladb/*", "ScyllaDB", Database),
        rule("cockroachdb/*", "CockroachDB", Database),
        rule("**/cockroach", "CockroachDB", Database),
        rule("**/clickhouse*", "ClickHouse", Database),
        rule("**/neo4j", "Neo4j", Database),
        rule("**/arangodb", "ArangoDB", Database),
        rule("memgraph/*", "Memgraph", Database),
        rule("falkordb/*", "FalkorDB", Database),
        rule("**/dgraph", "Dgraph", Database),
        rule("**/influxdb*", "InfluxDB", Database),
        rule("questdb/*", "QuestDB", Database),
        rule("**/couchdb", "CouchDB", Database),
        rule("**/couchbase", "Couchbase", Database),
        rule("**/rethinkdb", "RethinkDB", Database),
        rule("surrealdb/*", "SurrealDB", Database),
        rule("**/crate", "CrateDB", Database),
        rule("**/tidb", "TiDB", Database),
        rule("yugabytedb/*", "YugabyteDB", Database),
        rule("trinodb/*", "Trino", Database),
        rule("apache/druid", "Apache Druid", Database),
        rule("apache/hive", "Apache Hive", Database),
        rule("**/elasticsearch", "Elasticsearch", Database),
        rule("**/opensearch", "OpenSearch", Database),
        rule("**/solr", "Apache Solr", Database),
        rule("getmeili/*", "Meilisearch", Database),
        rule("typesense/*", "Typesense", Database),
        rule("manticoresearch/*", "Manticore Search", Database),
        rule("mcr.microsoft.com/mssql/**", "SQL Server", Database),
        rule("mcr.microsoft.com/azure-sql-edge", "Azure SQL Edge", Database),
        rule("gvenzl/oracle-*", "Oracle Database", Database),
        rule("container-registry.oracle.com/database/**", "Oracle Database", Database),
        rule("ibmcom/db2", "Db2", Database),
        // Queues and brokers.
        rule("**/rabbitmq", "RabbitMQ", Queue),
        rule("**/kafka", "Apache Kafka", Queue),
        rule("**/kafka-native", "Apache Kafka", Queue),
        rule("confluentinc/*", "Confluent Platform", Queue),
        rule("**/redpanda", "Redpanda", Queue),
        rule("**/zookeeper", "Apache ZooKeeper", Queue),
        rule("**/nats", "NATS", Queue),
        rule("**/nats-streaming", "NATS Streaming", Queue),
        rule("apachepulsar/*", "Apache Pulsar", Queue),
        rule("**/pulsar", "Apache Pulsar", Queue),
        rule("**/eclipse-mosquitto", "Eclipse Mosquitto", Queue),
        rule("**/emqx", "EMQX", Queue),
        rule("vernemq/*", "VerneMQ", Queue),
        rule("hivemq/*", "HiveMQ", Queue),
        rule("**/activemq*", "Apache ActiveMQ", Queue),
        rule("apache/rocketmq", "Apache RocketMQ", Queue),
        rule("**/nsq", "NSQ", Queue),
        rule("**/beanstalkd", "beanstalkd", Queue),
        rule("temporalio/**", "Temporal", Queue),
        rule("softwaremill/elasticmq*", "ElasticMQ", Queue),
        // Monitoring.
        rule("prom/*", "Prometheus", Monitoring),
        rule("**/prometheus", "Prometheus", Monitoring),
        rule("**/alertmanager", "Alertmanager", Monitoring),
        rule("**/node-exporter", "the node exporter", Monitoring),
        rule("**/*-exporter", "a metrics exporter", Monitoring),
        rule("**/*_exporter", "a metrics exporter", Monitoring),
        rule("grafana/*", "Grafana", Monitoring),
        rule("**/grafana", "Grafana", Monitoring),
        rule("**/loki", "Loki", Monitoring),
        rule("**/promtail", "Promtail", Monitoring),
        rule("jaegertracing/**", "Jaeger", Monitoring),
        rule("**/jaeger", "Jaeger", Monitoring),
        rule("openzipkin/*", "Zipkin", Monitoring),
        rule("**/cadvisor", "cAdvisor", Monitoring),
        rule("otel/*", "the OpenTelemetry Collector", Monitoring),
        rule("**/opentelemetry-collector*", "the OpenTelemetry Collector", Monitoring),
        rule("victoriametrics/*", "VictoriaMetrics", Monitoring),
        rule("**/thanos", "Thanos", Monitoring),
        rule("**/kibana", "Kibana", Monitoring),
        rule("**/logstash", "Logstash", Monitoring),
        rule("**/opensearch-dashboards", "OpenSearch Dashboards", Monitoring),
        rule("docker.elastic.co/**", "the Elastic Stack", Monitoring),
        rule("**/fluentd", "Fluentd", Monitoring),
        rule("**/fluent-bit", "Fluent Bit", Monitoring),
        rule("timberio/vector", "Vector", Monitoring),
        rule("**/telegraf", "Telegraf", Monitoring),
        rule("**/statsd", "StatsD", Monitoring),
        rule("graphiteapp/*", "Graphite", Monitoring),
        rule("**/netdata", "Netdata", Monitoring),
        rule("**/uptime-kuma", "Uptime Kuma", Monitoring),
        rule("zabbix/*", "Zabbix", Monitoring),
        rule("datadog/*", "the Datadog agent", Monitoring),
        rule("gcr.io/datadoghq/*", "the Datadog agent", Monitoring),
        rule("newrelic/*", "the New Relic agent", Monitoring),
        // Gateways, proxies, web servers.
        rule("**/nginx", "nginx", Gateway),
        rule("**/nginx-unprivileged", "nginx", Gateway),
        rule("**/openresty", "OpenResty", Gateway),
        rule("**/httpd", "the Apache HTTP server", Gateway),
        rule("**/traefik", "Traefik", Gateway),
        rule("kong", "Kong", Gateway),
        rule("kong/*", "Kong", Gateway),
        rule("envoyproxy/*", "Envoy", Gateway),
        rule("**/envoy", "Envoy", Gateway),
        rule("**/haproxy", "HAProxy", Gateway),
        rule("haproxytech/*", "HAProxy", Gateway),
        rule("**/caddy", "Caddy", Gateway),
        rule("apache/apisix*", "Apache APISIX", Gateway),
        rule("**/apisix", "Apache APISIX", Gateway),
        rule("tykio/*", "Tyk", Gateway),
        rule("**/krakend", "KrakenD", Gateway),
        rule("**/varnish", "Varnish", Gateway),
        rule("**/squid", "Squid", Gateway),
        rule("**/oauth2-proxy", "OAuth2 Proxy", Gateway),
        rule("istio/*", "Istio", Gateway),
        rule("**/coredns", "CoreDNS", Gateway),
        // Model servers.
        rule("ollama/*", "Ollama", ModelServer),
        rule("**/ollama", "Ollama", ModelServer),
        rule("vllm/*", "vLLM", ModelServer),
        rule("**/vllm-openai", "vLLM", ModelServer),
        rule("**/text-generation-inference", "Text Generation Inference", ModelServer),
        rule("**/text-embeddings-inference", "Text Embeddings Inference", ModelServer),
        rule("**/tritonserver", "the Triton inference server", ModelServer),
        rule("**/localai", "LocalAI", ModelServer),
        rule("localai/*", "LocalAI", ModelServer),
        rule("lmsysorg/*", "SGLang", ModelServer),
        rule("tabbyml/*", "Tabby", ModelServer),
        rule("ghcr.io/ggml-org/*", "llama.cpp", ModelServer),
        rule("ghcr.io/ggerganov/*", "llama.cpp", ModelServer),
        rule("pytorch/torchserve*", "TorchServe", ModelServer),
        rule("tensorflow/serving", "TensorFlow Serving", ModelServer),
        rule("openvino/model_server*", "the OpenVINO model server", ModelServer),
        rule("xprobe/xinference*", "Xinference", ModelServer),
        rule("**/infinity-embeddings", "Infinity", ModelServer),
        rule("michaelf34/infinity", "Infinity", ModelServer),
        rule("ghcr.io/berriai/litellm*", "LiteLLM", ModelServer),
        // CUDA, ROCm, vendors' machine learning images.
        rule("nvidia/**", "this NVIDIA image", VendorMl),
        rule("nvcr.io/**", "this NVIDIA image", VendorMl),
        rule("rocm/**", "this ROCm image", VendorMl),
        rule("amdih/*", "this AMD image", VendorMl),
        rule("pytorch/*", "this PyTorch image", VendorMl),
        rule("tensorflow/*", "this TensorFlow image", VendorMl),
        rule("huggingface/*", "this Hugging Face image", VendorMl),
        rule("ghcr.io/huggingface/**", "this Hugging Face image", VendorMl),
        rule("intel/*", "this Intel image", VendorMl),
        rule("openvino/*", "this OpenVINO image", VendorMl),
        rule("vault.habana.ai/**", "this Habana image", VendorMl),
        rule("rapidsai/*", "this RAPIDS image", VendorMl),
        rule("paddlepaddle/*", "this PaddlePaddle image", VendorMl),
        rule("mxnet/*", "this MXNet image", VendorMl),
        rule("rayproject/*", "this Ray image", VendorMl),
        rule("deepspeed/*", "this DeepSpeed image", VendorMl),
        rule("mindspore/*", "this MindSpore image", VendorMl),
        rule("ascendai/*", "this Ascend image", VendorMl),
        rule("mcr.microsoft.com/azureml/**", "this Azure ML image", VendorMl),
        rule("gcr.io/deeplearning-platform-release/**", "this Deep Learning Containers image", VendorMl),
        rule("public.ecr.aws/deep-learning-containers/**", "this Deep Learning Containers image", VendorMl),
        rule(
            "*.dkr.ecr.*.amazonaws.com/{pytorch,tensorflow,huggingface}-*",
            "this AWS Deep Learning image",
            VendorMl,
        ),
        rule("**:*cuda*", "an image whose tag names CUDA", VendorMl),
        rule("**:*rocm*", "an image whose tag names ROCm", VendorMl),
        // Infrastructure.
        rule("**/consul", "Consul", Infrastructure),
        rule("vault", "Vault", Infrastructure),
        rule("hashicorp/*", "this HashiCorp image", Infrastructure),
        rule("**/etcd", "etcd", Infrastructure),
        rule("registry", "the registry", Infrastructure),
        rule("goharbor/*", "Harbor", Infrastructure),
        rule("minio/*", "MinIO", Infrastructure),
        rule("**/minio", "MinIO", Infrastructure),
        rule("chrislusf/seaweedfs", "SeaweedFS", Infrastructure),
        rule("docker", "Docker", Infrastructure),
        rule("moby/buildkit", "BuildKit", Infrastructure),
        rule("gcr.io/kaniko-project/*", "kaniko", Infrastructure),
        rule("**/keycloak", "Keycloak", Infrastructure),
        rule("portainer/*", "Portainer", Infrastructure),
        rule("containrrr/watchtower", "Watchtower", Infrastructure),
        rule("gitea/*", "Gitea", Infrastructure),
        rule("gitlab/*", "GitLab", Infrastructure),
        rule("jenkins/*", "Jenkins", Infrastructure),
        rule("n8nio/*", "n8n", Infrastructure),
        rule("registry.k8s.io/**", "a Kubernetes component", Infrastructure),
        rule("rancher/*", "a Rancher component", Infrastructure),
    ]
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_rule_compiles_and_is_written_once() {
        let mut seen = std::collections::BTreeSet::new();
        for rule in RULES {
            ImagePattern::parse(rule.pattern).unwrap();
            assert!(seen.insert(rule.pattern), "{} is there twice", rule.pattern);
        }
    }

    #[test]
    fn kept() {
        for (image, class) in [
            ("postgres:16", Class::Database),
            ("bitnami/postgresql:16", Class::Database),
            ("mirror.example.com/library/redis:7", Class::Database),
            ("docker.elastic.co/elasticsearch/elasticsearch:8.0.0", Class::Database),
            ("timescale/timescaledb-ha:pg16", Class::Database),
            ("pgvector/pgvector:pg16", Class::VectorStore),
            ("ankane/pgvector", Class::VectorStore),
            ("chromadb/chroma:0.5", Class::VectorStore),
            ("rabbitmq:3-management", Class::Queue),
            ("eclipse-mosquitto:2", Class::Queue),
            ("prom/prometheus:latest", Class::Monitoring),
            ("quay.io/prometheus/node-exporter:v1", Class::Monitoring),
            ("oliver006/redis_exporter", Class::Monitoring),
            ("gcr.io/cadvisor/cadvisor:v0.49", Class::Monitoring),
            ("nginx:alpine", Class::Gateway),
            ("kong:3", Class::Gateway),
            ("ollama/ollama:latest", Class::ModelServer),
            ("tabbyml/tabby:latest", Class::ModelServer),
            ("ghcr.io/huggingface/text-generation-inference:2", Class::ModelServer),
            ("nvcr.io/nvidia/tritonserver:24.01-py3", Class::ModelServer),
            ("nvidia/cuda:11.8-devel-ubuntu22.04", Class::VendorMl),
            ("nvcr.io/nvidia/k8s/container-toolkit:1", Class::VendorMl),
            ("pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime", Class::VendorMl),
            ("tensorflow/tensorflow:2.14.0-gpu", Class::VendorMl),
            ("763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1", Class::VendorMl),
            ("mambaorg/micromamba:1.5-cuda12", Class::VendorMl),
            ("hashicorp/vault:1", Class::Infrastructure),
            ("registry:2", Class::Infrastructure),
            ("docker:dind", Class::Infrastructure),
        ] {
            let rule = find(&Reference::parse(image).unwrap());
            assert_eq!(rule.map(KeepRule::class), Some(class), "{image}");
        }
    }

    #[test]
    fn not_kept() {
        for image in [
            "python:3.11-slim",
            "node:18-alpine",
            "ubuntu:22.04",
            "golang:1.21-alpine",
            "corp/redis-worker:1",
            "corp/registry:1",
            "corp/docker:1",
            "corp/vault:1",
            "corp/agent-base:latest",
            "continuumio/miniconda3",
        ] {
            let rule = find(&Reference::parse(image).unwrap());
            assert_eq!(rule.map(KeepRule::pattern), None, "{image}");
        }
    }

    #[test]
    fn reasons_are_sentences() {
        assert_eq!(
            find(&Reference::parse("postgres").unwrap()).unwrap().reason(),
            "PostgreSQL is a database: its server, data directory and upgrade path belong to its own image"
        );
    }
}
