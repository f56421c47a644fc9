"""The systems that are compared, each as a good user of it would write the workload, each run as a process of its own."""
