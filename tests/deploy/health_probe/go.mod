module tensord/health_probe

go 1.24

require github.com/grpc-ecosystem/grpc-health-probe v0.4.38
