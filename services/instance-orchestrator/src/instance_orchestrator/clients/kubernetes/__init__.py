"""Instances as Deployments of a Kubernetes cluster."""
